// The codes of an integer grid's rows laid out by panels (panels-inl.h), and the scales and zero
// points of their groups.
#if defined(PITH_PANEL_CODES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PITH_PANEL_CODES_INL_H_
#undef PITH_PANEL_CODES_INL_H_
#else
#define PITH_PANEL_CODES_INL_H_
#endif

#include "include/PithKernels.h"
#include "packing.h"
#include "panels-inl.h"
#include "scales-inl.h"
#include "unpack-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pith {
namespace HWY_NAMESPACE {

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

/// Scales or zero points of some groups of a panel's rows, group after group: number g of row r lies
/// at g · kPanel + r. Rows that a panel lacks have scales of 0.
class PanelGrid {
 public:
  HWY_ALIGN float values[kHeldGroups * kPanel];

  HWY_INLINE void FillScales(
      const PithIntegerRows &weight, size_t first_row, size_t rows, size_t group, size_t held) {
    if (rows < kPanel) memset(values, 0, sizeof values);
    for (size_t r = 0; r < rows; ++r) {
      const size_t first = (first_row + r) * weight.scales_stride + group;
      const uint8_t *from = static_cast<const uint8_t *>(weight.scales);
      float wide[kHeldGroups + kBlock];
      if (weight.scale_type == PITH_F32) {
        memcpy(wide, from + 4 * first, 4 * held);
      } else {
        WidenScales(weight.scale_type, from + 2 * first, held, wide);
      }
      Spread(wide, held, values + r);
    }
  }

  HWY_INLINE void FillZeros(
      const PithIntegerRows &weight, size_t first_row, size_t rows, size_t group, size_t held) {
    const size_t bits = static_cast<size_t>(weight.bits);
    if (rows < kPanel || weight.zeros == nullptr) {
      const float middle = static_cast<float>(1 << (bits - 1));
      for (float &value : values) value = middle;
    }
    if (weight.zeros == nullptr) return;
    for (size_t r = 0; r < rows; ++r) {
      uint8_t zero[kHeldGroups + 8];
      Unpack(
          weight.zeros + (first_row + r) * weight.zeros_stride + group / 8 * bits, held,
          weight.bits, zero);
      Spread(zero, held, values + r);
    }
  }

 private:
  /// One row's, a panel's width apart; as vectors they would be scattered, which is slower.
  template <class Number>
  HWY_INLINE static void Spread(const Number *from, size_t count, float *to) {
#pragma clang loop vectorize(disable)
    for (size_t g = 0; g < count; ++g) to[g * kPanel] = static_cast<float>(from[g]);
  }
};

/// Calls fill(group, held) for some groups of 16 at most, then body(place, start, stop) for each
/// group's part start ..< stop of the columns, where place counts from `group`.
template <class Fill, class Body>
HWY_INLINE void ForEachGroup(
    size_t group_length, size_t first_column, size_t columns, Fill fill, Body body) {
  const size_t end = first_column + columns;
  size_t column = first_column;
  while (column < end) {
    // Zero points of eight groups begin on a byte.
    const size_t group = column / group_length & ~size_t{7};
    const size_t wanted = (end - 1) / group_length + 1 - group;
    const size_t held = wanted < kHeldGroups ? wanted : kHeldGroups;
    fill(group, held);
    for (size_t g = column / group_length; g < group + held && column < end; ++g) {
      const size_t border = (g + 1) * group_length;
      const size_t stop = border < end ? border : end;
      body(g - group, column, stop);
      column = stop;
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace pith
HWY_AFTER_NAMESPACE();

#endif
