// Activations and integer grids to what narrow.cc multiplies (PithNarrow.h).
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "narrow_panels.cc"
#include "target.h"

#include <hwy/foreach_target.h>

#include "include/PithNarrow.h"
#include "panel_codes-inl.h"

#pragma clang fp contract(off)

HWY_BEFORE_NAMESPACE();
namespace pith {
namespace HWY_NAMESPACE {
namespace {

/// Chunks whose largest magnitude is smaller (2⁻¹¹⁰) count as zeros: its reciprocal would overflow.
constexpr int32_t kLeast = (127 - 110) << 23;
constexpr int32_t kInfinite = 0xFF << 23;

/// One chunk of a row; the scale is returned.
HWY_INLINE float Chunk(const float *x, size_t count, int16_t *to) {
  const TagF tag;
  const TagI ints;
  const hn::Rebind<int16_t, TagF> half;
  // As integers, so that what is not a number is not lost.
  VecI largest = hn::Zero(ints);
  const VecI magnitude = hn::Set(ints, 0x7FFFFFFF);
  size_t c = 0;
  for (; c + kLanes <= count; c += kLanes) {
    largest = hn::Max(largest, hn::And(hn::BitCast(ints, hn::LoadU(tag, x + c)), magnitude));
  }
  HWY_ALIGN int32_t lanes[kLanes];
  hn::Store(largest, ints, lanes);
  int32_t bits = 0;
  for (size_t i = 0; i < kLanes; ++i) bits = lanes[i] > bits ? lanes[i] : bits;
  if (bits < kLeast || bits >= kInfinite) {
    memset(to, 0, 2 * count);
    return bits < kLeast ? 0.0f : __builtin_nanf("");
  }
  float most;
  memcpy(&most, &bits, sizeof most);
  const VecF factor = hn::Set(tag, 32767.0f / most);
  for (c = 0; c + kLanes <= count; c += kLanes) {
    const VecI rounded = hn::NearestInt(hn::Mul(hn::LoadU(tag, x + c), factor));
    hn::StoreU(hn::DemoteTo(half, rounded), half, to + c);
  }
  return most / 32767.0f;
}

/// Codes less zero points, two columns a word.
HWY_INLINE void PairPanel(
    const PithIntegerRows &weight, size_t first_row, size_t rows, size_t first_column,
    size_t columns, const uint8_t *turned, int32_t *panel) {
  constexpr size_t kParts = kPanel / kLanes;
  const TagI ints;
  const hn::Repartition<int16_t, TagI> halves;
  PanelGrid zeros;
  ForEachGroup(
      weight.group, first_column, columns,
      [&](size_t group, size_t held) HWY_ATTR {
        zeros.FillZeros(weight, first_row, rows, group, held);
      },
      [&](size_t place, size_t column, size_t stop) HWY_ATTR {
        // The zero point in both halves.
        hn::Vec<decltype(halves)> zero[kParts];
        for (size_t k = 0; k < kParts; ++k) {
          const VecI own = hn::ConvertTo(
              ints, hn::LoadU(TagF(), zeros.values + place * kPanel + k * kLanes));
          zero[k] = hn::BitCast(halves, hn::Or(own, hn::ShiftLeft<16>(own)));
        }
        for (; column < stop; column += 2) {
          const size_t at = (column - first_column) * kPanel;
          for (size_t k = 0; k < kParts; ++k) {
            const uint8_t *from = turned + at + k * kLanes;
            const VecI first = hn::PromoteTo(ints, hn::LoadU(TagB(), from));
            const VecI second = hn::PromoteTo(ints, hn::LoadU(TagB(), from + kPanel));
            const VecI both = hn::Or(first, hn::ShiftLeft<16>(second));
            hn::StoreU(
                hn::BitCast(ints, hn::Sub(hn::BitCast(halves, both), zero[k])), ints,
                panel + at / 2 + k * kLanes);
          }
        }
      });
}

/// A panel's width of scales for each chunk.
HWY_INLINE void ChunkScales(
    const PithIntegerRows &weight, size_t first_row, size_t rows, size_t first_column,
    size_t columns, size_t chunk, float *to) {
  PanelGrid scales;
  ForEachGroup(
      weight.group, first_column, columns,
      [&](size_t group, size_t held) HWY_ATTR {
        scales.FillScales(weight, first_row, rows, group, held);
      },
      [&](size_t place, size_t column, size_t stop) HWY_ATTR {
        for (; column < stop; column += chunk) {
          memcpy(to, scales.values + place * kPanel, sizeof(float) * kPanel);
          to += kPanel;
        }
      });
}

}  // namespace

void NarrowRows(
    const float *x, size_t rows, size_t x_stride, size_t columns, size_t chunk, int16_t *to,
    float *scales) {
  if (chunk % kLanes != 0) {
    pith_narrow_rows_reference(x, rows, x_stride, columns, chunk, to, scales);
    return;
  }
  for (size_t t = 0; t < rows; ++t) {
    for (size_t c = 0; c < columns; c += chunk) {
      *scales++ = Chunk(x + t * x_stride + c, chunk, to + t * columns + c);
    }
  }
}

void NarrowPanels(
    const PithIntegerRows *weights, size_t count, size_t first_row, size_t rows,
    size_t first_column, size_t columns, size_t chunk, int32_t *panels, float *scales,
    size_t stride) {
  // Rows that a panel lacks have scales of zero.
  HWY_ALIGN uint8_t unpacked[kPanel * kCodeStride] = {};
  HWY_ALIGN uint8_t turned[kPanel * kCodeStride] = {};
  for (size_t r = 0; r < rows; r += kPanel) {
    const size_t held = rows - r < kPanel ? rows - r : kPanel;
    TurnedCodes(weights[0], first_row + r, held, first_column, columns, unpacked, turned);
    PairPanel(
        weights[0], first_row + r, held, first_column, columns, turned, panels + r * columns / 2);
    for (size_t i = 0; i < count; ++i) {
      ChunkScales(
          weights[i], first_row + r, held, first_column, columns, chunk,
          scales + i * stride + r * (columns / chunk));
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace pith
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pith {
extern "C" {

void pith_narrow_rows(
    const float *x, size_t rows, size_t x_stride, size_t columns, size_t chunk, int16_t *to,
    float *scales) {
  PITH_DISPATCH(NarrowRows)(x, rows, x_stride, columns, chunk, to, scales);
}

void pith_narrow_panels(
    const PithIntegerRows *weights, size_t count, size_t first_row, size_t rows,
    size_t first_column, size_t columns, size_t chunk, int32_t *panels, float *scales,
    size_t stride) {
  PITH_DISPATCH(NarrowPanels)(
      weights, count, first_row, rows, first_column, columns, chunk, panels, scales, stride);
}
}
}  // namespace pith
#endif
