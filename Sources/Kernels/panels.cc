// Integer grids to panels for product.cc: codes are unpacked and turned about once, however many
// weights hold them under scales of their own.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "panels.cc"
#include "target.h"

#include <hwy/foreach_target.h>

#include "include/PithProduct.h"
#include "packing.h"
#include "panels-inl.h"
#include "scales-inl.h"
#include "unpack-inl.h"

#pragma clang fp contract(off)

HWY_BEFORE_NAMESPACE();
namespace pith {
namespace HWY_NAMESPACE {
namespace {

/// Groups whose scales are at hand: those of a piece of columns in groups of 64, wherever it begins.
constexpr size_t kHeldGroups = 16;
/// Room behind a row of codes, for whole blocks of 16 columns and whole vectors.
constexpr size_t kCodeStride = kPackedColumns + 2 * kBlock;

/// Turns 16 rows × 16 columns of bytes about; columns come to lie `kPanel` apart.
HWY_INLINE void TurnBlock(const uint8_t *from, uint8_t *to) {
  const Tag128 d;
  Vec128 a[16], b[16];
  // Four rounds of merging row i with row i + 8 make columns of the rows.
  for (size_t i = 0; i < 16; ++i) a[i] = hn::LoadU(d, from + i * kCodeStride);
  for (size_t i = 0; i < 8; ++i) {
    b[2 * i] = hn::InterleaveLower(d, a[i], a[i + 8]);
    b[2 * i + 1] = hn::InterleaveUpper(d, a[i], a[i + 8]);
  }
  for (size_t i = 0; i < 8; ++i) {
    a[2 * i] = hn::InterleaveLower(d, b[i], b[i + 8]);
    a[2 * i + 1] = hn::InterleaveUpper(d, b[i], b[i + 8]);
  }
  for (size_t i = 0; i < 8; ++i) {
    b[2 * i] = hn::InterleaveLower(d, a[i], a[i + 8]);
    b[2 * i + 1] = hn::InterleaveUpper(d, a[i], a[i + 8]);
  }
  for (size_t i = 0; i < 8; ++i) {
    a[2 * i] = hn::InterleaveLower(d, b[i], b[i + 8]);
    a[2 * i + 1] = hn::InterleaveUpper(d, b[i], b[i + 8]);
  }
  for (size_t i = 0; i < 16; ++i) hn::StoreU(a[i], d, to + i * kPanel);
}

/// The codes of a panel's rows, one a byte, column after column.
HWY_INLINE void TurnedCodes(
    const PithIntegerRows &weight, size_t first_row, size_t rows, size_t first_column,
    size_t columns, uint8_t *unpacked, uint8_t *turned) {
  const size_t bits = static_cast<size_t>(weight.bits);
  const uint8_t *codes =
      weight.codes + first_row * weight.codes_stride + first_column / 8 * bits;
  for (size_t r = 0; r < rows; ++r) {
    // The next panel's, which come from memory: the rows lie apart where a piece is not whole rows.
    const uint8_t *row = codes + r * weight.codes_stride;
    for (size_t at = 0; at < columns * bits / 8; at += 64) {
      __builtin_prefetch(row + kPanel * weight.codes_stride + at);
    }
    UnpackPiece(row, columns, weight.bits, unpacked + r * kCodeStride);
  }
  if (kPanel % 16 == 0) {
    for (size_t r = 0; r < rows; r += 16) {
      for (size_t c = 0; c < columns; c += 16) {
        TurnBlock(unpacked + r * kCodeStride + c, turned + c * kPanel + r);
      }
    }
    return;
  }
  for (size_t c = 0; c < columns; ++c) {
    for (size_t r = 0; r < rows; ++r) turned[c * kPanel + r] = unpacked[r * kCodeStride + c];
  }
}

/// Scales and zero points of some groups of a panel's rows, group after group; rows beyond the
/// panel's own get scales of 0.
class PanelGrid {
 public:
  HWY_ALIGN float scales[kHeldGroups * kPanel];
  HWY_ALIGN float zeros[kHeldGroups * kPanel];

  HWY_INLINE void Fill(
      const PithIntegerRows &weight, size_t first_row, size_t rows, size_t group, size_t held) {
    if (rows < kPanel || weight.zeros == nullptr) {
      const float middle = static_cast<float>(1 << (weight.bits - 1));
      for (size_t i = 0; i < kHeldGroups * kPanel; ++i) scales[i] = 0.0f, zeros[i] = middle;
    }
    for (size_t r = 0; r < rows; ++r) {
      FillScales(weight, (first_row + r) * weight.scales_stride + group, held, scales + r);
      if (weight.zeros == nullptr) continue;
      const size_t bits = static_cast<size_t>(weight.bits);
      uint8_t zero[kHeldGroups + 8];
      Unpack(
          weight.zeros + (first_row + r) * weight.zeros_stride + group / 8 * bits, held,
          weight.bits, zero);
      for (size_t g = 0; g < held; ++g) zeros[g * kPanel + r] = static_cast<float>(zero[g]);
    }
  }

 private:
  /// Scales of a row's groups, `kPanel` apart.
  HWY_INLINE static void FillScales(
      const PithIntegerRows &weight, size_t first, size_t held, float *to) {
    const uint8_t *from = static_cast<const uint8_t *>(weight.scales);
    if (weight.scale_type == PITH_F32) {
      for (size_t g = 0; g < held; ++g) memcpy(to + g * kPanel, from + 4 * (first + g), 4);
      return;
    }
    float wide[kHeldGroups + kBlock];
    WidenScales(weight.scale_type, from + 2 * first, held, wide);
    for (size_t g = 0; g < held; ++g) to[g * kPanel] = wide[g];
  }
};

/// One weight's panel, (code − zero) · scale.
HWY_INLINE void ScaledPanel(
    const PithIntegerRows &weight, size_t first_row, size_t rows, size_t first_column,
    size_t columns, const uint8_t *turned, float *panel) {
  constexpr size_t kParts = kPanel / kLanes;
  const TagF tag;
  PanelGrid grid;
  const size_t end = first_column + columns;
  size_t column = first_column;
  while (column < end) {
    // Zero points of eight groups begin on a byte.
    const size_t group = column / weight.group & ~size_t{7};
    const size_t wanted = (end - 1) / weight.group + 1 - group;
    const size_t held = wanted < kHeldGroups ? wanted : kHeldGroups;
    grid.Fill(weight, first_row, rows, group, held);
    for (size_t g = column / weight.group; g < group + held && column < end; ++g) {
      const size_t border = (g + 1) * weight.group;
      const size_t stop = border < end ? border : end;
      VecF scale[kParts], zero[kParts];
      for (size_t k = 0; k < kParts; ++k) {
        scale[k] = hn::LoadU(tag, grid.scales + (g - group) * kPanel + k * kLanes);
        zero[k] = hn::LoadU(tag, grid.zeros + (g - group) * kPanel + k * kLanes);
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
    }
  }
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
