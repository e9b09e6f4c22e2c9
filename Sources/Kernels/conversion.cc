// Conversions of whole runs between f32 and the 16-bit types.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "conversion.cc"
#include "target.h"

#include <hwy/foreach_target.h>

#include "conversion-inl.h"
#include "include/PithKernels.h"

#pragma clang fp contract(off)

HWY_BEFORE_NAMESPACE();
namespace pith {
namespace HWY_NAMESPACE {
namespace {

template <class Widen>
HWY_INLINE void WidenRun(const void *source, float *target, size_t count, Widen widen) {
  const uint8_t *from = static_cast<const uint8_t *>(source);
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    hn::StoreU(widen(LoadHalves(from + 2 * i)), TagF(), target + i);
  }
  if (i < count) {
    uint8_t halves[2 * kLanes] = {};
    float values[kLanes];
    memcpy(halves, from + 2 * i, 2 * (count - i));
    hn::StoreU(widen(LoadHalves(halves)), TagF(), values);
    memcpy(target + i, values, (count - i) * sizeof(float));
  }
}

template <class Narrow>
HWY_INLINE void NarrowRun(const float *source, void *target, size_t count, Narrow narrow) {
  uint8_t *to = static_cast<uint8_t *>(target);
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    StoreHalves(narrow(hn::LoadU(TagF(), source + i)), to + 2 * i);
  }
  if (i < count) {
    float values[kLanes] = {};
    uint8_t halves[2 * kLanes];
    memcpy(values, source + i, (count - i) * sizeof(float));
    StoreHalves(narrow(hn::LoadU(TagF(), values)), halves);
    memcpy(to + 2 * i, halves, 2 * (count - i));
  }
}

}  // namespace

void F16ToF32(const void *source, float *target, size_t count) {
  WidenRun(source, target, count, [](VecU v) HWY_ATTR { return WidenF16(v); });
}
void BF16ToF32(const void *source, float *target, size_t count) {
  WidenRun(source, target, count, [](VecU v) HWY_ATTR { return WidenBF16(v); });
}
void F32ToF16(const float *source, void *target, size_t count) {
  NarrowRun(source, target, count, [](VecF v) HWY_ATTR { return NarrowF16(v); });
}
void F32ToBF16(const float *source, void *target, size_t count) {
  NarrowRun(source, target, count, [](VecF v) HWY_ATTR { return NarrowBF16(v); });
}

}  // namespace HWY_NAMESPACE
}  // namespace pith
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pith {
extern "C" {

void pith_f16_to_f32(const void *source, float *target, size_t count) {
  PITH_DISPATCH(F16ToF32)(source, target, count);
}
void pith_bf16_to_f32(const void *source, float *target, size_t count) {
  PITH_DISPATCH(BF16ToF32)(source, target, count);
}
void pith_f32_to_f16(const float *source, void *target, size_t count) {
  PITH_DISPATCH(F32ToF16)(source, target, count);
}
void pith_f32_to_bf16(const float *source, void *target, size_t count) {
  PITH_DISPATCH(F32ToBF16)(source, target, count);
}
}
}  // namespace pith
#endif
