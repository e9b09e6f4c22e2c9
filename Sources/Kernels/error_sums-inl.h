// What an approximation loses, summed in lanes.
#if defined(PITH_ERROR_SUMS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PITH_ERROR_SUMS_INL_H_
#undef PITH_ERROR_SUMS_INL_H_
#else
#define PITH_ERROR_SUMS_INL_H_
#endif

#include "include/PithKernels.h"
#include "lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pith {
namespace HWY_NAMESPACE {

/// The error sums of a call, kept in lanes until its end.
struct RunSums {
  LaneSums error, original, approximation, product;
  VecF largest[kVectors];

  HWY_INLINE RunSums() {
    for (VecF &v : largest) v = hn::Zero(TagF());
  }

  HWY_INLINE void Add(size_t v, VecF x, VecF y, VecF e) {
    const VecD x0 = LowerDouble(x), x1 = UpperDouble(x);
    const VecD y0 = LowerDouble(y), y1 = UpperDouble(y);
    const VecD e0 = LowerDouble(e), e1 = UpperDouble(e);
    error.AddProduct(v, e0, e1, e0, e1);
    original.AddProduct(v, x0, x1, x0, x1);
    approximation.AddProduct(v, y0, y1, y0, y1);
    product.AddProduct(v, x0, x1, y0, y1);
    largest[v] = hn::Max(largest[v], hn::Abs(e));
  }

  HWY_INLINE void AddTo(PithErrorSums *sums, size_t count) const {
    sums->count += count;
    sums->squared_error += error.Fold();
    sums->squared_original += original.Fold();
    sums->squared_approximation += approximation.Fold();
    sums->product += product.Fold();
    VecF all = largest[0];
    for (size_t v = 1; v < kVectors; ++v) all = hn::Max(all, largest[v]);
    const double most = hn::GetLane(hn::MaxOfLanes(TagF(), all));
    if (most > sums->maximum_absolute_error) sums->maximum_absolute_error = most;
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace pith
HWY_AFTER_NAMESPACE();

#endif
