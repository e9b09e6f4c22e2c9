// Sixteen lanes of f32 on every instruction set: one vector of AVX-512, two of AVX2, four of the
// 128-bit ones. Sums kept per lane and folded in one order are then the same bits everywhere.
//
// Included once per instruction set; see target.h.
#if defined(PITH_LANES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PITH_LANES_INL_H_
#undef PITH_LANES_INL_H_
#else
#define PITH_LANES_INL_H_
#endif

#include <string.h>

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace pith {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using TagF = hn::CappedTag<float, 16>;
using TagI = hn::RebindToSigned<TagF>;
using TagU = hn::RebindToUnsigned<TagF>;
using TagD = hn::RepartitionToWide<TagF>;
using TagB = hn::Rebind<uint8_t, TagI>;
using TagH = hn::Rebind<uint16_t, TagI>;
using VecF = hn::Vec<TagF>;
using VecI = hn::Vec<TagI>;
using VecU = hn::Vec<TagU>;
using VecD = hn::Vec<TagD>;

constexpr size_t kBlock = 16;
constexpr size_t kLanes = HWY_LANES(float) < kBlock ? HWY_LANES(float) : kBlock;
constexpr size_t kVectors = kBlock / kLanes;

/// Sixteen sums in f64. Squares and products of two f32 are exact in f64, so whether the
/// compiler fuses the multiplication with the addition changes nothing.
struct LaneSums {
  VecD lanes[2 * kVectors];

  HWY_INLINE LaneSums() {
    for (VecD &lane : lanes) lane = hn::Zero(TagD());
  }

  /// Adds a·b of vector v of the block, given in f64 as halves.
  HWY_INLINE void AddProduct(size_t v, VecD a0, VecD a1, VecD b0, VecD b1) {
    lanes[2 * v] = hn::MulAdd(a0, b0, lanes[2 * v]);
    lanes[2 * v + 1] = hn::MulAdd(a1, b1, lanes[2 * v + 1]);
  }

  /// The sum of the sixteen, by halving.
  HWY_INLINE double Fold() const {
    double all[kBlock];
    for (size_t v = 0; v < 2 * kVectors; ++v) hn::StoreU(lanes[v], TagD(), all + v * kLanes / 2);
    for (size_t width = kBlock / 2; width > 0; width /= 2) {
      for (size_t i = 0; i < width; ++i) all[i] += all[i + width];
    }
    return all[0];
  }
};

HWY_INLINE VecD LowerDouble(VecF v) { return hn::PromoteTo(TagD(), hn::LowerHalf(v)); }
HWY_INLINE VecD UpperDouble(VecF v) {
  return hn::PromoteTo(TagD(), hn::UpperHalf(hn::Half<TagF>(), v));
}

/// Copies the last, incomplete block and fills it up with zeros.
HWY_INLINE void PadBlock(const float *source, size_t count, float (&block)[kBlock]) {
  memset(block, 0, sizeof(block));
  memcpy(block, source, count * sizeof(float));
}

}  // namespace HWY_NAMESPACE
}  // namespace pith
HWY_AFTER_NAMESPACE();

#endif
