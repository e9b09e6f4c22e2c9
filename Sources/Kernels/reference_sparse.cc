// The plain twins of sparse.cc, and what has no faster form.
#include <string.h>

#include "include/PithSparse.h"
#include "sparse_choice.h"

#pragma clang fp contract(off)

extern "C" {

double pith_sparse_sweep_reference(const PithSweepTile *tile, size_t first, size_t last) {
  double loss = 0;
  for (size_t r = 0; r < tile->rows; ++r) {
    float *w = tile->values + r * tile->width;
    uint8_t *kept = tile->kept + r * tile->width;
    for (size_t i = first; i < last; ++i) {
      if (tile->of > 0 && (i - first) % static_cast<size_t>(tile->of) == 0) {
        pith::ChoosePattern(w, kept, tile->factor, tile->width, i, tile->keep, tile->of);
      }
      float q = kept[i] != 0 ? w[i] : 0;
      if (tile->codes != nullptr) q = pith::RoundOnGrid(*tile, r, i, w[i], kept[i] != 0);
      const float *factor = tile->factor + i * tile->width;
      const float e = (w[i] - q) / factor[i];
      tile->errors[r * tile->width + i] = e;
      loss += static_cast<double>(e) * e;
      for (size_t j = i + 1; j < tile->width; ++j) w[j] -= e * factor[j];
      w[i] = q;
    }
  }
  return loss;
}

void pith_choose_patterns(const PithSweepTile *tile, size_t first, size_t last) {
  const size_t of = static_cast<size_t>(tile->of);
  for (size_t r = 0; r < tile->rows; ++r) {
    for (size_t i = first; i + of <= last; i += of) {
      pith::ChoosePattern(
          tile->values + r * tile->width, tile->kept + r * tile->width, tile->factor, tile->width,
          i, tile->keep, tile->of);
    }
  }
}

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
