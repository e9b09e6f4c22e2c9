// Sixteen f32 lanes for the forward pass's kernels, in clang's vector extension.
//
// The lane count is fixed, so that sums run in one order whatever the instruction set; the loader
// picks the widest clone that the processor has. Helpers take references: a vector passed by
// value would change the calling convention between the clones.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && defined(__linux__)
#define PITH_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define PITH_CLONES
#endif
#define PITH_INLINE static inline __attribute__((always_inline))

namespace pith {

constexpr size_t kLanes = 16;
typedef float Lanes __attribute__((vector_size(64)));
typedef uint32_t BitLanes __attribute__((vector_size(64)));
typedef float LooseLanes __attribute__((vector_size(64), aligned(4)));

PITH_INLINE void load(Lanes &value, const float *from) {
  value = *reinterpret_cast<const LooseLanes *>(from);
}
PITH_INLINE void store(const Lanes &value, float *to) {
  *reinterpret_cast<LooseLanes *>(to) = value;
}
// The last `count` < 16 elements; the other lanes hold `fill`.
PITH_INLINE void load_tail(Lanes &value, const float *from, size_t count, float fill) {
  value = Lanes{} + fill;
  memcpy(&value, from, count * sizeof(float));
}
PITH_INLINE void store_tail(const Lanes &value, float *to, size_t count) {
  memcpy(to, &value, count * sizeof(float));
}

PITH_INLINE float sum(const Lanes &value) {
  float total = 0;
  for (size_t lane = 0; lane < kLanes; ++lane) total += value[lane];
  return total;
}
PITH_INLINE float maximum(const Lanes &value) {
  float best = value[0];
  for (size_t lane = 1; lane < kLanes; ++lane) best = value[lane] > best ? value[lane] : best;
  return best;
}
PITH_INLINE void raise_to(Lanes &value, const Lanes &other) {
  value = other > value ? other : value;
}

// e^x within 2 units in the last place; 0 below -87.3, clamped above 88.3, NaN stays NaN.
// Cody–Waite reduction by ln 2 in two parts, polynomial of Cephes' expf.
PITH_INLINE void exponential(Lanes &x) {
  const Lanes low = Lanes{} - 87.33654f, high = Lanes{} + 88.37626f;
  const BitLanes underflow = (BitLanes)(x < low);
  x = x > high ? high : x;
  x = x < low ? low : x;
  // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits: nothing beyond SSE2.
  const Lanes magic = Lanes{} + 12582912.0f;
  const Lanes shifted = x * 1.44269504088896341f + magic;
  const Lanes n = shifted - magic;
  Lanes r = x - n * 0.693359375f;
  r = r - n * -2.12194440e-4f;
  Lanes p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  const BitLanes power = ((BitLanes)shifted - (BitLanes)magic + 127u) << 23;
  x = p * (Lanes)power;
  x = (Lanes)((BitLanes)x & ~underflow);
}

}  // namespace pith
