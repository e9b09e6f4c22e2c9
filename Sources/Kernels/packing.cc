#include "packing.h"

#include "include/PithKernels.h"

extern "C" {

void pith_pack_codes(const uint8_t *codes, size_t count, int32_t bits, uint8_t *packed) {
  pith::Pack(codes, count, bits, packed);
}

void pith_unpack_codes(const uint8_t *packed, size_t count, int32_t bits, uint8_t *codes) {
  pith::Unpack(packed, count, bits, codes);
}

void pith_pack_codes_reference(
    const uint8_t *codes, size_t count, int32_t bits, uint8_t *packed) {
  memset(packed, 0, (count * static_cast<size_t>(bits) + 7) / 8);
  for (size_t i = 0; i < count; ++i) {
    for (int bit = 0; bit < bits; ++bit) {
      const size_t at = i * static_cast<size_t>(bits) + static_cast<size_t>(bit);
      packed[at / 8] |= static_cast<uint8_t>(((codes[i] >> bit) & 1) << at % 8);
    }
  }
}

void pith_unpack_codes_reference(
    const uint8_t *packed, size_t count, int32_t bits, uint8_t *codes) {
  for (size_t i = 0; i < count; ++i) {
    codes[i] = 0;
    for (int bit = 0; bit < bits; ++bit) {
      const size_t at = i * static_cast<size_t>(bits) + static_cast<size_t>(bit);
      codes[i] |= static_cast<uint8_t>(((packed[at / 8] >> at % 8) & 1) << bit);
    }
  }
}

void pith_transpose_words_reference(const void *source, size_t source_stride, size_t rows,
                                    size_t columns, void *target, size_t target_stride) {
  for (size_t row = 0; row < rows; ++row) {
    for (size_t column = 0; column < columns; ++column) {
      memcpy(static_cast<uint8_t *>(target) + 4 * (column * target_stride + row),
             static_cast<const uint8_t *>(source) + 4 * (row * source_stride + column), 4);
    }
  }
}

void pith_interleave_nibbles_reference(
    const void *source, size_t stride, size_t rows, size_t columns, void *target) {
  static const size_t order[] = {0, 2, 4, 6, 1, 3, 5, 7};
  const uint8_t *from = static_cast<const uint8_t *>(source);
  uint8_t *to = static_cast<uint8_t *>(target);
  for (size_t column = 0; column < columns; ++column) {
    for (size_t word = 0; word < rows / 8; ++word) {
      uint32_t value = 0;
      for (size_t k = 0; k < 8; ++k) {
        const uint8_t pair = from[(8 * word + order[k]) * stride + column / 2];
        value |= static_cast<uint32_t>(pair >> column % 2 * 4 & 15) << 4 * k;
      }
      memcpy(to + (column * (rows / 8) + word) * 4, &value, 4);
    }
  }
}
}
