// Integer grids, backwards: packed codes to f32, and the product with few rows of activations.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "decode.cc"
#include "target.h"

#include <hwy/foreach_target.h>

#include "conversion-inl.h"
#include "include/PithKernels.h"
#include "packing.h"
#include "scales-inl.h"
#include "unpack-inl.h"

#pragma clang fp contract(off)

HWY_BEFORE_NAMESPACE();
namespace pith {
namespace HWY_NAMESPACE {
namespace {

/// Columns unpacked at a time; a multiple of 8, so that every piece begins on a byte.
constexpr size_t kPiece = 1024;

/// One row's scales and zeros, widened a stretch at a time.
class RowGrid {
 public:
  RowGrid(const PithIntegerRows &weight, size_t row) : weight_(weight) {
    const size_t size = weight.scale_type == PITH_F32 ? 4 : 2;
    scales_ = static_cast<const uint8_t *>(weight.scales) + row * weight.scales_stride * size;
    zeros_ = weight.zeros == nullptr ? nullptr : weight.zeros + row * weight.zeros_stride;
    middle_ = static_cast<float>(1 << (weight.bits - 1));
  }

  HWY_INLINE void Find(size_t group, float *scale, float *zero) {
    if (group < first_ || group >= first_ + held_) Fill(group);
    *scale = scale_[group - first_];
    *zero = zeros_ == nullptr ? middle_ : static_cast<float>(zero_[group - first_]);
  }

 private:
  void Fill(size_t group) {
    const size_t groups = weight_.columns / weight_.group;
    first_ = group & ~size_t{7};
    held_ = groups - first_ < kHeldScales ? groups - first_ : kHeldScales;
    const size_t size = weight_.scale_type == PITH_F32 ? 4 : 2;
    WidenScales(weight_.scale_type, scales_ + size * first_, held_, scale_);
    if (zeros_ != nullptr) {
      const size_t bits = static_cast<size_t>(weight_.bits);
      Unpack(zeros_ + first_ / 8 * bits, held_, weight_.bits, zero_);
    }
  }

  const PithIntegerRows &weight_;
  const uint8_t *scales_;
  const uint8_t *zeros_;
  float middle_;
  size_t first_ = 0, held_ = 0;
  float scale_[kHeldScales + kBlock];
  uint8_t zero_[kHeldScales + 8];
};

HWY_INLINE VecF Widened(const uint8_t *codes, VecF zero) {
  const VecI code = hn::PromoteTo(TagI(), hn::LoadU(TagB(), codes));
  return hn::Sub(hn::ConvertTo(TagF(), code), zero);
}

/// Calls `visit(column, count, codes, scale, zero)` for each run of columns of a row that shares
/// a scale and lies in one unpacked piece. `codes` may be read up to a block beyond its end.
template <class Visit>
HWY_INLINE void ForEachRun(
    const PithIntegerRows &weight, size_t row, size_t first, size_t columns, Visit visit) {
  HWY_ALIGN uint8_t unpacked[kPiece + kBlock];
  const size_t bits = static_cast<size_t>(weight.bits);
  const uint8_t *packed = weight.codes + row * weight.codes_stride;
  RowGrid grid(weight, row);
  const size_t end = first + columns;
  for (size_t piece = first & ~size_t{7}; piece < end; piece += kPiece) {
    const size_t held = end - piece < kPiece ? end - piece : kPiece;
    UnpackPiece(packed + piece / 8 * bits, held, weight.bits, unpacked);
    size_t column = piece < first ? first : piece;
    while (column < piece + held) {
      const size_t group = column / weight.group;
      const size_t border = (group + 1) * weight.group;
      const size_t stop = border < piece + held ? border : piece + held;
      float scale, zero;
      grid.Find(group, &scale, &zero);
      visit(column, stop - column, unpacked + (column - piece), scale, zero);
      column = stop;
    }
  }
}

}  // namespace

void DecodeInteger(
    const PithIntegerRows *weight, size_t first_row, size_t rows, size_t first_column,
    size_t columns, float *target, size_t target_stride) {
  for (size_t r = 0; r < rows; ++r) {
    float *to = target + r * target_stride;
    ForEachRun(
        *weight, first_row + r, first_column, columns,
        [&](size_t column, size_t count, const uint8_t *codes, float scale, float zero)
            HWY_ATTR {
              const VecF s = hn::Set(TagF(), scale);
              const VecF z = hn::Set(TagF(), zero);
              float *at = to + (column - first_column);
              size_t i = 0;
              for (; i + kLanes <= count; i += kLanes) {
                hn::StoreU(hn::Mul(Widened(codes + i, z), s), TagF(), at + i);
              }
              for (; i < count; ++i) at[i] = (static_cast<float>(codes[i]) - zero) * scale;
            });
  }
}

namespace {

/// Products of one weight row with `kRows` rows of x.
template <size_t kRows>
HWY_INLINE void MultiplyRow(
    const PithIntegerRows &weight, size_t row, const float *x, size_t x_stride, float *y,
    size_t y_stride) {
  constexpr size_t kSums = 2 / kVectors + 1;
  VecF sums[kRows][kSums];
  float rest[kRows] = {};
  for (size_t t = 0; t < kRows; ++t) {
    for (VecF &sum : sums[t]) sum = hn::Zero(TagF());
  }
  ForEachRun(
      weight, row, 0, weight.columns,
      [&](size_t column, size_t count, const uint8_t *codes, float scale, float zero) HWY_ATTR {
        const VecF s = hn::Set(TagF(), scale);
        const VecF z = hn::Set(TagF(), zero);
        const float *at = x + column;
        size_t i = 0;
        // Several independent sums hide the latency of the addition.
        for (; i + kSums * kLanes <= count; i += kSums * kLanes) {
          for (size_t k = 0; k < kSums; ++k) {
            const size_t j = i + k * kLanes;
            const VecF w = hn::Mul(Widened(codes + j, z), s);
            for (size_t t = 0; t < kRows; ++t) {
              sums[t][k] = hn::MulAdd(w, hn::LoadU(TagF(), at + t * x_stride + j), sums[t][k]);
            }
          }
        }
        for (; i + kLanes <= count; i += kLanes) {
          const VecF w = hn::Mul(Widened(codes + i, z), s);
          for (size_t t = 0; t < kRows; ++t) {
            sums[t][0] = hn::MulAdd(w, hn::LoadU(TagF(), at + t * x_stride + i), sums[t][0]);
          }
        }
        for (; i < count; ++i) {
          const float w = (static_cast<float>(codes[i]) - zero) * scale;
          for (size_t t = 0; t < kRows; ++t) rest[t] += w * at[t * x_stride + i];
        }
      });
  for (size_t t = 0; t < kRows; ++t) {
    VecF all = sums[t][0];
    for (size_t k = 1; k < kSums; ++k) all = hn::Add(all, sums[t][k]);
    y[t * y_stride] += hn::GetLane(hn::SumOfLanes(TagF(), all)) + rest[t];
  }
}

}  // namespace

void MultiplyInteger(
    const PithIntegerRows *weight, size_t first_row, size_t rows, const float *x, size_t x_rows,
    size_t x_stride, float *y, size_t y_stride) {
  for (size_t r = 0; r < rows; ++r) {
    size_t t = 0;
    for (; t + 4 <= x_rows; t += 4) {
      MultiplyRow<4>(
          *weight, first_row + r, x + t * x_stride, x_stride, y + t * y_stride + r, y_stride);
    }
    const float *from = x + t * x_stride;
    float *to = y + t * y_stride + r;
    switch (x_rows - t) {
      case 3: MultiplyRow<3>(*weight, first_row + r, from, x_stride, to, y_stride); break;
      case 2: MultiplyRow<2>(*weight, first_row + r, from, x_stride, to, y_stride); break;
      case 1: MultiplyRow<1>(*weight, first_row + r, from, x_stride, to, y_stride); break;
      default: break;
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace pith
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pith {
extern "C" {

void pith_decode_integer(
    const PithIntegerRows *weight, size_t first_row, size_t rows, size_t first_column,
    size_t columns, float *target, size_t target_stride) {
  PITH_DISPATCH(DecodeInteger)(
      weight, first_row, rows, first_column, columns, target, target_stride);
}

void pith_multiply_integer(
    const PithIntegerRows *weight, size_t first_row, size_t rows, const float *x, size_t x_rows,
    size_t x_stride, float *y, size_t y_stride) {
  PITH_DISPATCH(MultiplyInteger)(weight, first_row, rows, x, x_rows, x_stride, y, y_stride);
}
}
}  // namespace pith
#endif
