// ggml's blocks as bytes (ggml-common.h of the GGUF format): where each number lies.
#include <string.h>

#include "blocks.h"

#pragma clang fp contract(off)

namespace {

void PutHalf(float value, uint8_t *bytes) { pith_f32_to_f16_reference(&value, bytes, 1); }

float GetHalf(const uint8_t *bytes) {
  float value;
  pith_f16_to_f32_reference(bytes, &value, 1);
  return value;
}

/// Eight 6-bit scales and eight 6-bit minima in twelve bytes: the first four of each have their
/// bits together, the others' upper two lie above them.
void UnpackSixBits(const uint8_t *s, int16_t *scales, int16_t *minima) {
  for (int j = 0; j < 4; ++j) {
    scales[j] = s[j] & 63;
    minima[j] = s[j + 4] & 63;
    scales[j + 4] = static_cast<int16_t>((s[j + 8] & 15) | (s[j] >> 6) << 4);
    minima[j + 4] = static_cast<int16_t>((s[j + 8] >> 4) | (s[j + 4] >> 6) << 4);
  }
}

void PackSixBits(const int16_t *scales, const int16_t *minima, uint8_t *s) {
  for (int j = 0; j < 4; ++j) {
    s[j] = static_cast<uint8_t>(scales[j] | (scales[j + 4] >> 4) << 6);
    s[j + 4] = static_cast<uint8_t>(minima[j] | (minima[j + 4] >> 4) << 6);
    s[j + 8] = static_cast<uint8_t>((scales[j + 4] & 15) | (minima[j + 4] & 15) << 4);
  }
}

/// 256 two-bit codes in 64 bytes: of each 128, four runs of 32 share 32 bytes.
void UnpackTwoBits(const uint8_t *qs, int16_t *codes) {
  for (int i = 0; i < 256; ++i) {
    codes[i] = static_cast<int16_t>(qs[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3);
  }
}

void PackTwoBits(const int16_t *codes, uint8_t *qs) {
  memset(qs, 0, 64);
  for (int i = 0; i < 256; ++i) {
    qs[i / 128 * 32 + i % 32] |= static_cast<uint8_t>((codes[i] & 3) << (i % 128 / 32 * 2));
  }
}

/// Codes of four bits: of each 64, the first 32 are the low nibbles.
void UnpackNibbles(const uint8_t *qs, int16_t *codes) {
  for (int i = 0; i < 256; ++i) {
    codes[i] = static_cast<int16_t>(qs[i / 64 * 32 + i % 32] >> (i % 64 / 32 * 4) & 15);
  }
}

void PackNibbles(const int16_t *codes, uint8_t *qs) {
  memset(qs, 0, 128);
  for (int i = 0; i < 256; ++i) {
    qs[i / 64 * 32 + i % 32] |= static_cast<uint8_t>((codes[i] & 15) << (i % 64 / 32 * 4));
  }
}

/// One bit of each of 256 codes in 32 bytes: byte i mod 32, bit i / 32.
int HighBit(const uint8_t *bits, int i) { return bits[i % 32] >> i / 32 & 1; }

/// 32 codes of the older formats: element j is a low nibble, j + 16 the high one beside it.
void UnpackHalves(const uint8_t *qs, const uint8_t *high, int offset, int16_t *codes) {
  for (int i = 0; i < 32; ++i) {
    int code = qs[i % 16] >> i / 16 * 4 & 15;
    if (high != nullptr) code |= (high[i / 8] >> i % 8 & 1) << 4;
    codes[i] = static_cast<int16_t>(code - offset);
  }
}

void PackHalves(const int16_t *codes, int offset, uint8_t *qs, uint8_t *high) {
  memset(qs, 0, 16);
  if (high != nullptr) memset(high, 0, 4);
  for (int i = 0; i < 32; ++i) {
    const int code = codes[i] + offset;
    qs[i % 16] |= static_cast<uint8_t>((code & 15) << i / 16 * 4);
    if (high != nullptr) high[i / 8] |= static_cast<uint8_t>((code >> 4 & 1) << i % 8);
  }
}

}  // namespace

extern "C" {

PithBlockFormat pith_block_format(int32_t type) { return pith::BlockFormatOf(type); }

void pith_unpack_block(int32_t type, const uint8_t *block, PithBlock *result) {
  const PithBlockFormat &format = pith::BlockFormatOf(type);
  result->d = 0;
  result->minimum = 0;
  for (int j = 0; j < pith::kSubBlocks; ++j) {
    result->scales[j] = 1;
    result->minima[j] = format.min_high == 1 ? -1 : 0;
  }
  switch (type) {
    case PITH_Q4_0:
      result->d = GetHalf(block);
      return UnpackHalves(block + 2, nullptr, 8, result->codes);
    case PITH_Q4_1:
      result->d = GetHalf(block);
      result->minimum = GetHalf(block + 2);
      return UnpackHalves(block + 4, nullptr, 0, result->codes);
    case PITH_Q5_0:
      result->d = GetHalf(block);
      return UnpackHalves(block + 6, block + 2, 16, result->codes);
    case PITH_Q5_1:
      result->d = GetHalf(block);
      result->minimum = GetHalf(block + 2);
      return UnpackHalves(block + 8, block + 4, 0, result->codes);
    case PITH_Q8_0:
      result->d = GetHalf(block);
      for (int i = 0; i < 32; ++i) result->codes[i] = static_cast<int8_t>(block[2 + i]);
      return;
    case PITH_Q2_K:
      result->d = GetHalf(block + 80);
      result->minimum = GetHalf(block + 82);
      for (int j = 0; j < 16; ++j) {
        result->scales[j] = block[j] & 15;
        result->minima[j] = block[j] >> 4;
      }
      return UnpackTwoBits(block + 16, result->codes);
    case PITH_Q3_K: {
      const uint8_t *s = block + 96;
      result->d = GetHalf(block + 108);
      for (int j = 0; j < 16; ++j) {
        const int low = s[j % 8] >> j / 8 * 4 & 15;
        const int high = s[8 + j % 4] >> j / 4 * 2 & 3;
        result->scales[j] = static_cast<int16_t>((low | high << 4) - 32);
      }
      UnpackTwoBits(block + 32, result->codes);
      for (int i = 0; i < 256; ++i) {
        result->codes[i] = static_cast<int16_t>(result->codes[i] + HighBit(block, i) * 4 - 4);
      }
      return;
    }
    case PITH_Q4_K:
    case PITH_Q5_K:
      result->d = GetHalf(block);
      result->minimum = GetHalf(block + 2);
      UnpackSixBits(block + 4, result->scales, result->minima);
      if (type == PITH_Q4_K) return UnpackNibbles(block + 16, result->codes);
      UnpackNibbles(block + 48, result->codes);
      for (int i = 0; i < 256; ++i) {
        result->codes[i] = static_cast<int16_t>(result->codes[i] | HighBit(block + 16, i) << 4);
      }
      return;
    default:
      result->d = GetHalf(block + 208);
      for (int j = 0; j < 16; ++j) result->scales[j] = static_cast<int8_t>(block[192 + j]);
      for (int i = 0; i < 256; ++i) {
        const int half = i / 128, run = i % 128 / 32, l = i % 32;
        const int low = block[half * 64 + run % 2 * 32 + l] >> run / 2 * 4 & 15;
        const int high = block[128 + half * 32 + l] >> run * 2 & 3;
        result->codes[i] = static_cast<int16_t>((low | high << 4) - 32);
      }
  }
}

void pith_pack_block(int32_t type, const PithBlock *source, uint8_t *block) {
  switch (type) {
    case PITH_Q4_0:
      PutHalf(source->d, block);
      return PackHalves(source->codes, 8, block + 2, nullptr);
    case PITH_Q4_1:
      PutHalf(source->d, block);
      PutHalf(source->minimum, block + 2);
      return PackHalves(source->codes, 0, block + 4, nullptr);
    case PITH_Q5_0:
      PutHalf(source->d, block);
      return PackHalves(source->codes, 16, block + 6, block + 2);
    case PITH_Q5_1:
      PutHalf(source->d, block);
      PutHalf(source->minimum, block + 2);
      return PackHalves(source->codes, 0, block + 8, block + 4);
    case PITH_Q8_0:
      PutHalf(source->d, block);
      for (int i = 0; i < 32; ++i) block[2 + i] = static_cast<uint8_t>(source->codes[i]);
      return;
    case PITH_Q2_K:
      PutHalf(source->d, block + 80);
      PutHalf(source->minimum, block + 82);
      for (int j = 0; j < 16; ++j) {
        block[j] = static_cast<uint8_t>(source->scales[j] | source->minima[j] << 4);
      }
      return PackTwoBits(source->codes, block + 16);
    case PITH_Q3_K: {
      int16_t low[256];
      memset(block, 0, 32);
      for (int i = 0; i < 256; ++i) {
        const int code = source->codes[i] + 4;
        low[i] = static_cast<int16_t>(code & 3);
        block[i % 32] |= static_cast<uint8_t>((code >> 2 & 1) << i / 32);
      }
      PackTwoBits(low, block + 32);
      uint8_t *s = block + 96;
      memset(s, 0, 12);
      for (int j = 0; j < 16; ++j) {
        const int scale = source->scales[j] + 32;
        s[j % 8] |= static_cast<uint8_t>((scale & 15) << j / 8 * 4);
        s[8 + j % 4] |= static_cast<uint8_t>((scale >> 4 & 3) << j / 4 * 2);
      }
      return PutHalf(source->d, block + 108);
    }
    case PITH_Q4_K:
    case PITH_Q5_K:
      PutHalf(source->d, block);
      PutHalf(source->minimum, block + 2);
      PackSixBits(source->scales, source->minima, block + 4);
      if (type == PITH_Q4_K) return PackNibbles(source->codes, block + 16);
      PackNibbles(source->codes, block + 48);
      memset(block + 16, 0, 32);
      for (int i = 0; i < 256; ++i) {
        block[16 + i % 32] |= static_cast<uint8_t>((source->codes[i] >> 4 & 1) << i / 32);
      }
      return;
    default:
      memset(block, 0, 192);
      for (int i = 0; i < 256; ++i) {
        const int half = i / 128, run = i % 128 / 32, l = i % 32;
        const int code = source->codes[i] + 32;
        block[half * 64 + run % 2 * 32 + l] |= static_cast<uint8_t>((code & 15) << run / 2 * 4);
        block[128 + half * 32 + l] |= static_cast<uint8_t>((code >> 4) << run * 2);
      }
      for (int j = 0; j < 16; ++j) block[192 + j] = static_cast<uint8_t>(source->scales[j]);
      PutHalf(source->d, block + 208);
  }
}

void pith_decode_blocks(int32_t type, const uint8_t *blocks, size_t count, float *target) {
  const PithBlockFormat &format = pith::BlockFormatOf(type);
  PithBlock block;
  for (size_t at = 0; at < count; ++at) {
    pith_unpack_block(type, blocks + at * static_cast<size_t>(format.bytes), &block);
    float *to = target + at * static_cast<size_t>(format.length);
    for (int j = 0; j < format.length / format.sub; ++j) {
      const float scale = block.d * static_cast<float>(block.scales[j]);
      const float minimum = block.minimum * static_cast<float>(block.minima[j]);
      for (int i = j * format.sub; i < (j + 1) * format.sub; ++i) {
        to[i] = scale * static_cast<float>(block.codes[i]) - minimum;
      }
    }
  }
}
}
