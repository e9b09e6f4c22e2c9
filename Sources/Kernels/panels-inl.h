// How rows of a weight lie side by side for the product with many rows of activations.
#if defined(PITH_PANELS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PITH_PANELS_INL_H_
#undef PITH_PANELS_INL_H_
#else
#define PITH_PANELS_INL_H_
#endif

#include <hwy/highway.h>

#ifndef PITH_PANEL_EXTENTS
#define PITH_PANEL_EXTENTS
namespace pith {
/// Rows and columns of the weight that are packed at a time: 576 KiB.
constexpr size_t kPackedRows = 256, kPackedColumns = 576;
/// The widest panel of any instruction set; every narrower width divides it.
constexpr size_t kWidestPanel = 32;
}  // namespace pith
// Sums are registers only when every loop over them is unrolled.
#define PITH_UNROLLED _Pragma("clang loop unroll(full)")
#endif

HWY_BEFORE_NAMESPACE();
namespace pith {
namespace HWY_NAMESPACE {

/// Rows of a panel: two vectors. Row r of column c lies at c·kPanel + r.
constexpr size_t kWidth = HWY_LANES(float) < 16 ? HWY_LANES(float) : 16;
constexpr size_t kPanel = 2 * kWidth;
/// Rows of activations at a time: their sums, two vectors each, fill the registers.
constexpr size_t kTall = kWidth == 16 ? 14 : 6;

}  // namespace HWY_NAMESPACE
}  // namespace pith
HWY_AFTER_NAMESPACE();

#endif
