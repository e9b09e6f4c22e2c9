// The product of many rows of activations with rows of a weight.
//
// Rows of the weight are packed into panels two vectors wide, which stay in the second-level
// cache while all activations pass; activations are read where they lie, a number at a time, and
// never packed: a library's gemm packs them again for every tile of decoded weights.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "product.cc"
#include "target.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include "include/PithProduct.h"
#include "panels-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pith {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

using Tag = hn::CappedTag<float, 16>;
using Vec = hn::Vec<Tag>;
using Tag4 = hn::FixedTag<float, 4>;
using Pairs = hn::RepartitionToWide<Tag4>;

/// The sums of `kRows` rows of activations with a panel, `kRows × kPanel`.
template <size_t kRows>
HWY_INLINE void Sums(
    const float *x, size_t x_stride, const float *panel, size_t columns, float *y,
    size_t y_stride, bool adds) {
  const Tag tag;
  Vec sums[kRows][2];
PITH_UNROLLED
  for (size_t t = 0; t < kRows; ++t) {
    sums[t][0] = adds ? hn::LoadU(tag, y + t * y_stride) : hn::Zero(tag);
    sums[t][1] = adds ? hn::LoadU(tag, y + t * y_stride + kWidth) : hn::Zero(tag);
  }
  for (size_t c = 0; c < columns; ++c) {
    const Vec left = hn::LoadU(tag, panel + c * kPanel);
    const Vec right = hn::LoadU(tag, panel + c * kPanel + kWidth);
PITH_UNROLLED
    for (size_t t = 0; t < kRows; ++t) {
      const Vec value = hn::Set(tag, x[t * x_stride + c]);
      sums[t][0] = hn::MulAdd(value, left, sums[t][0]);
      sums[t][1] = hn::MulAdd(value, right, sums[t][1]);
    }
  }
PITH_UNROLLED
  for (size_t t = 0; t < kRows; ++t) {
    hn::StoreU(sums[t][0], tag, y + t * y_stride);
    hn::StoreU(sums[t][1], tag, y + t * y_stride + kWidth);
  }
}

HWY_INLINE void SumsOf(
    size_t rows, const float *x, size_t x_stride, const float *panel, size_t columns, float *y,
    size_t y_stride, bool adds) {
  if (rows == kTall) {
    Sums<kTall>(x, x_stride, panel, columns, y, y_stride, adds);
    return;
  }
  for (; rows >= 4; rows -= 4) {
    Sums<4>(x, x_stride, panel, columns, y, y_stride, adds);
    x += 4 * x_stride;
    y += 4 * y_stride;
  }
  for (; rows > 0; --rows) {
    Sums<1>(x, x_stride, panel, columns, y, y_stride, adds);
    x += x_stride;
    y += y_stride;
  }
}

/// Lays a panel's rows side by side: panel[c·kPanel + r] = w[r·w_stride + c], zeros beyond `rows`.
void Pack(const float *w, size_t rows, size_t w_stride, size_t columns, float *panel) {
  const Tag4 tag;
  const Pairs pairs;
  const auto paired = [&](hn::Vec<Tag4> v) HWY_ATTR { return hn::BitCast(pairs, v); };
  const auto stored = [&](hn::Vec<Pairs> v, float *to) HWY_ATTR {
    hn::StoreU(hn::BitCast(tag, v), tag, to);
  };
  const size_t fours = rows / 4 * 4;
  size_t c = 0;
  // Four columns of all rows at a time: their lines of the panel are written once.
  for (; c + 4 <= columns; c += 4) {
    for (size_t r = 0; r < fours; r += 4) {
      const float *from = w + r * w_stride + c;
      const auto row0 = hn::LoadU(tag, from), row1 = hn::LoadU(tag, from + w_stride);
      const auto row2 = hn::LoadU(tag, from + 2 * w_stride);
      const auto row3 = hn::LoadU(tag, from + 3 * w_stride);
      const auto low01 = paired(hn::InterleaveLower(tag, row0, row1));
      const auto low23 = paired(hn::InterleaveLower(tag, row2, row3));
      const auto high01 = paired(hn::InterleaveUpper(tag, row0, row1));
      const auto high23 = paired(hn::InterleaveUpper(tag, row2, row3));
      float *to = panel + c * kPanel + r;
      stored(hn::InterleaveLower(pairs, low01, low23), to);
      stored(hn::InterleaveUpper(pairs, low01, low23), to + kPanel);
      stored(hn::InterleaveLower(pairs, high01, high23), to + 2 * kPanel);
      stored(hn::InterleaveUpper(pairs, high01, high23), to + 3 * kPanel);
    }
  }
  for (; c < columns; ++c) {
    for (size_t r = 0; r < fours; ++r) panel[c * kPanel + r] = w[r * w_stride + c];
  }
  for (size_t r = fours; r < kPanel; ++r) {
    for (c = 0; c < columns; ++c) panel[c * kPanel + r] = r < rows ? w[r * w_stride + c] : 0.0f;
  }
}

/// One packed piece of the weight with all activations.
void MultiplyPanels(
    const float *panels, size_t rows, size_t columns, const float *x, size_t x_rows,
    size_t x_stride, float *y, size_t y_stride, bool adds) {
  HWY_ALIGN float edge[kTall * kPanel];
  for (size_t t = 0; t < x_rows; t += kTall) {
    const size_t tall = x_rows - t < kTall ? x_rows - t : kTall;
    const float *from = x + t * x_stride;
    for (size_t r = 0; r < rows; r += kPanel) {
      const size_t wide = rows - r < kPanel ? rows - r : kPanel;
      const float *panel = panels + r * columns;
      float *to = y + t * y_stride + r;
      if (wide == kPanel) {
        SumsOf(tall, from, x_stride, panel, columns, to, y_stride, adds);
        continue;
      }
      for (size_t i = 0; i < tall && adds; ++i) {
        for (size_t k = 0; k < kPanel; ++k) edge[i * kPanel + k] = k < wide ? to[i * y_stride + k] : 0.0f;
      }
      SumsOf(tall, from, x_stride, panel, columns, edge, kPanel, adds);
      for (size_t i = 0; i < tall; ++i) {
        for (size_t k = 0; k < wide; ++k) to[i * y_stride + k] = edge[i * kPanel + k];
      }
    }
  }
}

}  // namespace

void ProductPack(const float *w, size_t rows, size_t w_stride, size_t columns, float *panels) {
  for (size_t r = 0; r < rows; r += kPanel) {
    Pack(
        w + r * w_stride, rows - r < kPanel ? rows - r : kPanel, w_stride, columns,
        panels + r * columns);
  }
}

void ProductPacked(
    const float *panels, size_t rows, size_t columns, const float *x, size_t x_rows,
    size_t x_stride, float *y, size_t y_stride, int adds) {
  MultiplyPanels(panels, rows, columns, x, x_rows, x_stride, y, y_stride, adds != 0);
}

void Product(
    const float *w, size_t rows, size_t w_stride, size_t columns, const float *x, size_t x_rows,
    size_t x_stride, float *y, size_t y_stride, float *scratch) {
  for (size_t row = 0; row < rows; row += kPackedRows) {
    const size_t held = rows - row < kPackedRows ? rows - row : kPackedRows;
    for (size_t column = 0; column < columns; column += kPackedColumns) {
      const size_t deep = columns - column < kPackedColumns ? columns - column : kPackedColumns;
      ProductPack(w + row * w_stride + column, held, w_stride, deep, scratch);
      MultiplyPanels(
          scratch, held, deep, x + column, x_rows, x_stride, y + row, y_stride, column > 0);
    }
  }
}

size_t PanelWidth() { return kPanel; }

int ProductSuits() {
  return HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3 ? 1 : 0;
}

}  // namespace HWY_NAMESPACE
}  // namespace pith
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pith {
extern "C" {

size_t pith_product_scratch(void) {
  return (kPackedRows + kWidestPanel) * kPackedColumns;
}

size_t pith_packed_rows(void) { return kPackedRows; }
size_t pith_packed_columns(void) { return kPackedColumns; }
size_t pith_panel_rows(void) { return kWidestPanel; }
size_t pith_panel_width(void) { return PITH_DISPATCH(PanelWidth)(); }

int pith_product_suits(void) { return PITH_DISPATCH(ProductSuits)(); }

void pith_product(
    const float *w, size_t rows, size_t w_stride, size_t columns, const float *x, size_t x_rows,
    size_t x_stride, float *y, size_t y_stride, float *scratch) {
  PITH_DISPATCH(Product)(w, rows, w_stride, columns, x, x_rows, x_stride, y, y_stride, scratch);
}

void pith_product_pack(
    const float *w, size_t rows, size_t w_stride, size_t columns, float *panels) {
  PITH_DISPATCH(ProductPack)(w, rows, w_stride, columns, panels);
}

void pith_product_packed(
    const float *panels, size_t rows, size_t columns, const float *x, size_t x_rows,
    size_t x_stride, float *y, size_t y_stride, int adds) {
  PITH_DISPATCH(ProductPacked)(
      panels, rows, columns, x, x_rows, x_stride, y, y_stride, adds);
}
}
}  // namespace pith
#endif
