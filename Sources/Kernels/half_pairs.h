// bf16 pairs in one word, as the instructions that multiply them round: for the plain twins.
#pragma once

#include <stdint.h>
#include <string.h>

namespace pith {

/// To the nearest, ties to even; numbers below the normal range become zeros, as the instruction does.
inline uint32_t Half(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  if ((bits & 0x7F800000u) == 0) return bits >> 16 & 0x8000u;
  return (bits + 0x7FFFu + (bits >> 16 & 1)) >> 16;
}

inline float Widened(uint32_t half) {
  const uint32_t bits = half << 16;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/// The first one in the lower half.
inline uint32_t Pair(float first, float second) { return Half(first) | Half(second) << 16; }

}  // namespace pith
