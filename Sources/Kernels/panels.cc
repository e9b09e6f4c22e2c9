// Integer grids to panels for product.cc: codes are unpacked and turned about once, however many
// weights hold them under scales of their own.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "panels.cc"
#include "target.h"

#include <hwy/foreach_target.h>

#include "include/PithProduct.h"
#include "panel_codes-inl.h"

#pragma clang fp contract(off)

HWY_BEFORE_NAMESPACE();
namespace pith {
namespace HWY_NAMESPACE {
namespace {

/// One weight's panel, (code − zero) · scale.
HWY_INLINE void ScaledPanel(
    const PithIntegerRows &weight, size_t first_row, size_t rows, size_t first_column,
    size_t columns, const uint8_t *turned, float *panel) {
  constexpr size_t kParts = kPanel / kLanes;
  const TagF tag;
  PanelGrid scales, zeros;
  ForEachGroup(
      weight.group, first_column, columns,
      [&](size_t group, size_t held) HWY_ATTR {
        scales.FillScales(weight, first_row, rows, group, held);
        zeros.FillZeros(weight, first_row, rows, group, held);
      },
      [&](size_t place, size_t column, size_t stop) HWY_ATTR {
        VecF scale[kParts], zero[kParts];
        for (size_t k = 0; k < kParts; ++k) {
          scale[k] = hn::LoadU(tag, scales.values + place * kPanel + k * kLanes);
          zero[k] = hn::LoadU(tag, zeros.values + place * kPanel + k * kLanes);
        }
        for (; column < stop; ++column) {
          const size_t at = (column - first_column) * kPanel;
          for (size_t k = 0; k < kParts; ++k) {
            const VecI code = hn::PromoteTo(TagI(), hn::LoadU(TagB(), turned + at + k * kLanes));
            hn::StoreU(
                hn::Mul(hn::Sub(hn::ConvertTo(tag, code), zero[k]), scale[k]), tag,
                panel + at + k * kLanes);
          }
        }
      });
}

}  // namespace

void DecodePanels(
    const PithIntegerRows *weights, size_t count, size_t first_row, size_t rows,
    size_t first_column, size_t columns, float *panels, size_t stride) {
  // Rows that a panel lacks keep zeros.
  HWY_ALIGN uint8_t unpacked[kPanel * kCodeStride] = {};
  HWY_ALIGN uint8_t turned[kPanel * kCodeStride] = {};
  for (size_t r = 0; r < rows; r += kPanel) {
    const size_t held = rows - r < kPanel ? rows - r : kPanel;
    TurnedCodes(weights[0], first_row + r, held, first_column, columns, unpacked, turned);
    for (size_t i = 0; i < count; ++i) {
      ScaledPanel(
          weights[i], first_row + r, held, first_column, columns, turned,
          panels + i * stride + r * columns);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace pith
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pith {
extern "C" {

void pith_decode_panels(
    const PithIntegerRows *weights, size_t count, size_t first_row, size_t rows,
    size_t first_column, size_t columns, float *panels, size_t stride) {
  PITH_DISPATCH(DecodePanels)(
      weights, count, first_row, rows, first_column, columns, panels, stride);
}
}
}  // namespace pith
#endif
