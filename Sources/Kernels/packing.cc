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
}
