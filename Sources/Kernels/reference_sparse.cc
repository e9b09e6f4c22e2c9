// The plain twins of sparse.cc, and what has no faster form.
#include <string.h>

#include "include/PithSparse.h"

#pragma clang fp contract(off)

namespace {

void ExpandFours(
    const uint8_t *packed, size_t groups, uint32_t bits, const uint16_t *table, uint8_t *bitmap) {
  // Two groups a byte of the bitmap, by one table of both; eight groups are `bits` bytes.
  uint8_t pairs[256];
  const uint32_t mask = (1u << bits) - 1;
  for (uint32_t number = 0; number < 1u << 2 * bits; ++number) {
    const uint32_t low = number & mask, high = number >> bits;
    pairs[number] = static_cast<uint8_t>((table[low] & 15) | table[high] << 4);
  }
  for (size_t g = 0; g < groups; g += 8, packed += bits) {
    uint32_t word = 0;
    const size_t left = groups - g < 8 ? groups - g : 8;
    for (size_t k = 0; k < (left * bits + 7) / 8; ++k) {
      word |= static_cast<uint32_t>(packed[k]) << 8 * k;
    }
    if (left == 8) {
      const uint32_t two = 2 * bits, low = (1u << two) - 1;
      for (uint32_t k = 0; k < 4; ++k) *bitmap++ = pairs[word >> k * two & low];
      continue;
    }
    for (size_t k = 0; k < left; k += 2) {
      const uint32_t two = word >> k * bits & ((1u << 2 * bits) - 1);
      // The last group of an odd number stands alone.
      *bitmap++ = k + 1 < left ? pairs[two] : static_cast<uint8_t>(table[two & mask]);
    }
  }
}

float Folded(float (&sums)[16]) {
  for (size_t width = 8; width > 0; width /= 2) {
    for (size_t k = 0; k < width; ++k) sums[k] += sums[k + width];
  }
  return sums[0];
}

}  // namespace

extern "C" {

size_t pith_count_bits(const uint8_t *bytes, size_t count) {
  size_t sum = 0;
  size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    uint64_t word;
    memcpy(&word, bytes + i, 8);
    sum += static_cast<size_t>(__builtin_popcountll(word));
  }
  for (; i < count; ++i) sum += static_cast<size_t>(__builtin_popcount(bytes[i]));
  return sum;
}

void pith_multiply_survivors_reference(
    const uint8_t *bitmap, const float *survivors, size_t columns, const float *x, size_t rows,
    size_t x_stride, float *y, size_t y_stride) {
  for (size_t r = 0; r < rows; ++r) {
    float sums[16] = {0};
    size_t taken = 0;
    for (size_t i = 0; i < columns; ++i) {
      const bool kept = (bitmap[i / 8] >> i % 8 & 1) != 0;
      sums[i % 16] += (kept ? survivors[taken++] : 0) * x[r * x_stride + i];
    }
    y[r * y_stride] = Folded(sums);
  }
}

void pith_multiply_survivor_codes_reference(
    const uint8_t *bitmap, const uint8_t *codes, size_t columns, size_t group,
    const float *scales, const float *zeros, const float *x, size_t rows, size_t x_stride,
    float *y, size_t y_stride) {
  for (size_t r = 0; r < rows; ++r) {
    float sums[16] = {0};
    size_t taken = 0;
    for (size_t i = 0; i < columns; ++i) {
      const bool kept = (bitmap[i / 8] >> i % 8 & 1) != 0;
      const size_t g = i / group;
      const float value =
          kept ? (static_cast<float>(codes[taken++]) - zeros[g]) * scales[g] : 0;
      sums[i % 16] += value * x[r * x_stride + i];
    }
    y[r * y_stride] = Folded(sums);
  }
}

size_t pith_expand_floats_reference(
    const uint8_t *bitmap, const float *survivors, size_t columns, float *target) {
  size_t taken = 0;
  for (size_t i = 0; i < columns; ++i) {
    target[i] = (bitmap[i / 8] >> i % 8 & 1) != 0 ? survivors[taken++] : 0;
  }
  return taken;
}

size_t pith_expand_codes_reference(
    const uint8_t *bitmap, const uint8_t *codes, size_t columns, size_t group,
    const float *scales, const float *zeros, float *target) {
  size_t taken = 0;
  for (size_t i = 0; i < columns; ++i) {
    const bool kept = (bitmap[i / 8] >> i % 8 & 1) != 0;
    const size_t g = i / group;
    target[i] = kept ? (static_cast<float>(codes[taken++]) - zeros[g]) * scales[g] : 0;
  }
  return taken;
}

void pith_expand_patterns(
    const uint8_t *packed, size_t groups, int32_t bits, int32_t of, const uint16_t *table,
    uint8_t *bitmap) {
  if (of == 4) {
    // Numbers that no pattern has: the table ends before 2^bits.
    uint16_t whole[16] = {0};
    const int32_t patterns = bits == 2 ? 4 : 6;
    memcpy(whole, table, sizeof(uint16_t) * static_cast<size_t>(patterns));
    ExpandFours(packed, groups, static_cast<uint32_t>(bits), whole, bitmap);
    return;
  }
  uint64_t numbers = 0, marks = 0;
  int held = 0, made = 0;
  for (size_t g = 0; g < groups; ++g) {
    while (held < bits) {
      numbers |= static_cast<uint64_t>(*packed++) << held;
      held += 8;
    }
    marks |= static_cast<uint64_t>(table[numbers & ((uint64_t{1} << bits) - 1)]) << made;
    numbers >>= bits;
    held -= bits;
    made += of;
    while (made >= 8) {
      *bitmap++ = static_cast<uint8_t>(marks);
      marks >>= 8;
      made -= 8;
    }
  }
  if (made > 0) *bitmap = static_cast<uint8_t>(marks);
}

void pith_expand_gaps(
    const uint8_t *gaps, size_t survivors, const float *values, size_t columns, float *target) {
  memset(target, 0, columns * sizeof(float));
  size_t column = 0;
  for (size_t taken = 0; taken < survivors; ++gaps) {
    column += *gaps;
    if (*gaps < 255) target[column++] = values[taken++];
  }
}

float pith_dot_gaps(const uint8_t *gaps, size_t survivors, const float *values, const float *x) {
  float sum = 0;
  size_t column = 0;
  for (size_t taken = 0; taken < survivors; ++gaps) {
    column += *gaps;
    if (*gaps < 255) sum += values[taken++] * x[column++];
  }
  return sum;
}
}
