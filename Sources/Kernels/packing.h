// Codes and their `bits`-wide streams, eight codes (one 64-bit word) at a time: as quick as the
// vector instructions for what surrounds it, and the same on every machine.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

namespace pith {

/// Repeats a pattern of `width` bits over 64 bits, `step` apart.
constexpr uint64_t Repeated(int width, int step) {
  uint64_t word = 0;
  for (int at = 0; at < 64; at += step) word |= ((uint64_t{1} << width) - 1) << at;
  return word;
}

/// Eight codes, one a byte, to 8·bits bits: pairs, then pairs of pairs.
template <int bits>
inline uint64_t PackEight(uint64_t word) {
  word = (word & Repeated(8, 16)) | ((word >> 8) & Repeated(8, 16)) << bits;
  word = (word & Repeated(16, 32)) | ((word >> 16) & Repeated(16, 32)) << 2 * bits;
  return (word & 0xFFFFFFFFu) | (word >> 32) << 4 * bits;
}

/// The way back.
template <int bits>
inline uint64_t UnpackEight(uint64_t word) {
  constexpr uint64_t half = (uint64_t{1} << 4 * bits) - 1;
  word = (word & half) | ((word >> 4 * bits) & half) << 32;
  constexpr uint64_t quarter = Repeated(2 * bits, 32);
  word = (word & quarter) | ((word >> 2 * bits) & quarter) << 16;
  constexpr uint64_t one = Repeated(bits, 16);
  return (word & one) | ((word >> bits) & one) << 8;
}

template <int bits>
inline void PackRun(const uint8_t *codes, size_t count, uint8_t *packed) {
  const size_t total = (count * bits + 7) / 8;
  size_t at = 0;
  size_t i = 0;
  for (; i + 8 <= count; i += 8, at += bits) {
    uint64_t word;
    memcpy(&word, codes + i, 8);
    word = PackEight<bits>(word);
    // A whole word may be written where the row goes on: the next block overwrites its end.
    memcpy(packed + at, &word, total - at >= 8 ? 8 : bits);
  }
  if (i < count) {
    uint64_t word = 0;
    memcpy(&word, codes + i, count - i);
    word = PackEight<bits>(word);
    memcpy(packed + at, &word, total - at);
  }
}

template <int bits>
inline void UnpackRun(const uint8_t *packed, size_t count, uint8_t *codes) {
  const size_t total = (count * bits + 7) / 8;
  size_t at = 0;
  size_t i = 0;
  for (; i + 8 <= count; i += 8, at += bits) {
    uint64_t word = 0;
    if (total - at >= 8) {
      memcpy(&word, packed + at, 8);
    } else {
      memcpy(&word, packed + at, bits);
    }
    word = UnpackEight<bits>(word);
    memcpy(codes + i, &word, 8);
  }
  if (i < count) {
    uint64_t word = 0;
    memcpy(&word, packed + at, total - at);
    word = UnpackEight<bits>(word);
    memcpy(codes + i, &word, count - i);
  }
}

inline void Pack(const uint8_t *codes, size_t count, int bits, uint8_t *packed) {
  switch (bits) {
    case 1: return PackRun<1>(codes, count, packed);
    case 2: return PackRun<2>(codes, count, packed);
    case 3: return PackRun<3>(codes, count, packed);
    case 4: return PackRun<4>(codes, count, packed);
    case 5: return PackRun<5>(codes, count, packed);
    case 6: return PackRun<6>(codes, count, packed);
    case 7: return PackRun<7>(codes, count, packed);
    default: memcpy(packed, codes, count);
  }
}

inline void Unpack(const uint8_t *packed, size_t count, int bits, uint8_t *codes) {
  switch (bits) {
    case 1: return UnpackRun<1>(packed, count, codes);
    case 2: return UnpackRun<2>(packed, count, codes);
    case 3: return UnpackRun<3>(packed, count, codes);
    case 4: return UnpackRun<4>(packed, count, codes);
    case 5: return UnpackRun<5>(packed, count, codes);
    case 6: return UnpackRun<6>(packed, count, codes);
    case 7: return UnpackRun<7>(packed, count, codes);
    default: memcpy(codes, packed, count);
  }
}

}  // namespace pith
