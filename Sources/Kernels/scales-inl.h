// A group grid's scales as f32, a stretch at a time.
#if defined(PITH_SCALES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PITH_SCALES_INL_H_
#undef PITH_SCALES_INL_H_
#else
#define PITH_SCALES_INL_H_
#endif

#include "conversion-inl.h"
#include "include/PithKernels.h"

HWY_BEFORE_NAMESPACE();
namespace pith {
namespace HWY_NAMESPACE {

/// Scales widened at a time.
constexpr size_t kHeldScales = 64;

/// Widens at most kHeldScales scales of f16, bf16 or f32; whole vectors are written, so `scales`
/// has room for kBlock more.
HWY_INLINE void WidenScales(int type, const uint8_t *bytes, size_t count, float *scales) {
  if (type != PITH_F16 && type != PITH_BF16) {
    memcpy(scales, bytes, 4 * count);
    return;
  }
  uint8_t halves[2 * (kHeldScales + kLanes)] = {};
  memcpy(halves, bytes, 2 * count);
  for (size_t i = 0; i < count; i += kLanes) {
    const VecU half = LoadHalves(halves + 2 * i);
    hn::StoreU(type == PITH_F16 ? WidenF16(half) : WidenBF16(half), TagF(), scales + i);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace pith
HWY_AFTER_NAMESPACE();

#endif
