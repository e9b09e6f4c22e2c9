// Reductions over whole runs, and the bitmap of a mask.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "reduction.cc"
#include "target.h"

#include <hwy/foreach_target.h>

#include "error_sums-inl.h"
#include "include/PithKernels.h"
#include "lanes-inl.h"

#pragma clang fp contract(off)

HWY_BEFORE_NAMESPACE();
namespace pith {
namespace HWY_NAMESPACE {

uint64_t SumBytes(const void *source, size_t count) {
  const hn::ScalableTag<uint8_t> bytes;
  const hn::ScalableTag<uint64_t> words;
  const size_t lanes = hn::Lanes(bytes);
  const uint8_t *from = static_cast<const uint8_t *>(source);
  auto first = hn::Zero(words);
  auto second = hn::Zero(words);
  size_t i = 0;
  for (; i + 2 * lanes <= count; i += 2 * lanes) {
    first = hn::Add(first, hn::SumsOf8(hn::LoadU(bytes, from + i)));
    second = hn::Add(second, hn::SumsOf8(hn::LoadU(bytes, from + i + lanes)));
  }
  uint64_t sum = hn::GetLane(hn::SumOfLanes(words, hn::Add(first, second)));
  for (; i < count; ++i) sum += from[i];
  return sum;
}

int64_t FirstNonfinite(const float *source, size_t count) {
  const TagI i32;
  const VecI magnitude = hn::Set(i32, 0x7FFFFFFF);
  constexpr size_t kStretch = 4 * kBlock;
  size_t i = 0;
  for (; i + kStretch <= count; i += kStretch) {
    VecI top = hn::Zero(i32);
    for (size_t j = 0; j < kStretch; j += kLanes) {
      const VecI bits = hn::BitCast(i32, hn::LoadU(TagF(), source + i + j));
      top = hn::Max(top, hn::And(bits, magnitude));
    }
    if (hn::GetLane(hn::MaxOfLanes(i32, top)) >= 0x7F800000) break;
  }
  const int64_t rest = pith_first_nonfinite_reference(source + i, count - i);
  return rest < 0 ? -1 : static_cast<int64_t>(i) + rest;
}

PithRange Range(const float *source, size_t count) {
  const TagF f;
  VecF low = hn::Set(f, source[0]);
  VecF high = low;
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const VecF x = hn::LoadU(f, source + i);
    low = hn::Min(low, x);
    high = hn::Max(high, x);
  }
  PithRange range;
  range.minimum = hn::GetLane(hn::MinOfLanes(f, low));
  range.maximum = hn::GetLane(hn::MaxOfLanes(f, high));
  for (; i < count; ++i) {
    if (source[i] < range.minimum) range.minimum = source[i];
    if (source[i] > range.maximum) range.maximum = source[i];
  }
  range.absolute_maximum = -range.minimum > range.maximum ? -range.minimum : range.maximum;
  return range;
}

void ErrorSums(
    const float *original, const float *approximation, size_t count, PithErrorSums *sums) {
  RunSums lanes;
  const auto add = [&](const float *a, const float *b) HWY_ATTR {
    for (size_t v = 0; v < kVectors; ++v) {
      const VecF x = hn::LoadU(TagF(), a + v * kLanes);
      const VecF y = hn::LoadU(TagF(), b + v * kLanes);
      lanes.Add(v, x, y, hn::Sub(x, y));
    }
  };
  size_t i = 0;
  for (; i + kBlock <= count; i += kBlock) add(original + i, approximation + i);
  if (i < count) {
    float a[kBlock], b[kBlock];
    PadBlock(original + i, count - i, a);
    PadBlock(approximation + i, count - i, b);
    add(a, b);
  }
  lanes.AddTo(sums, count);
}

void ApplyBitmap(float *values, const uint8_t *bitmap, size_t count) {
  const TagU u;
  const VecU one = hn::Set(u, 1u);
  alignas(64) uint32_t places[kBlock];
  for (uint32_t i = 0; i < kBlock; ++i) places[i] = 1u << i;
  size_t i = 0;
  for (; i + kBlock <= count; i += kBlock) {
    const VecU bits = hn::Set(
        u, static_cast<uint32_t>(bitmap[i / 8]) | static_cast<uint32_t>(bitmap[i / 8 + 1]) << 8);
    for (size_t v = 0; v < kVectors; ++v) {
      float *at = values + i + v * kLanes;
      const VecU place = hn::LoadU(u, places + v * kLanes);
      const VecU kept = hn::Min(hn::And(bits, place), one);
      const VecU all = hn::Sub(hn::Zero(u), kept);
      const VecU x = hn::BitCast(u, hn::LoadU(TagF(), at));
      hn::StoreU(hn::BitCast(TagF(), hn::And(x, all)), TagF(), at);
    }
  }
  for (; i < count; ++i) {
    if ((bitmap[i / 8] >> i % 8 & 1) == 0) values[i] = 0;
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace pith
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pith {
extern "C" {

uint64_t pith_sum_bytes(const void *source, size_t count) {
  return PITH_DISPATCH(SumBytes)(source, count);
}
int64_t pith_first_nonfinite(const float *source, size_t count) {
  return PITH_DISPATCH(FirstNonfinite)(source, count);
}
PithRange pith_range(const float *source, size_t count) {
  return PITH_DISPATCH(Range)(source, count);
}
void pith_error_sums(
    const float *original, const float *approximation, size_t count, PithErrorSums *sums) {
  PITH_DISPATCH(ErrorSums)(original, approximation, count, sums);
}
void pith_apply_bitmap(float *values, const uint8_t *bitmap, size_t count) {
  PITH_DISPATCH(ApplyBitmap)(values, bitmap, count);
}
}
}  // namespace pith
#endif
