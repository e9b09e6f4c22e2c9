// Integer grids, forwards: ranges, codes, packing and error sums of a row in one visit.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "encode.cc"
#include "target.h"

#include <hwy/foreach_target.h>

#include "error_sums-inl.h"
#include "include/PithKernels.h"
#include "integer_grid.h"
#include "lanes-inl.h"
#include "packing.h"

#pragma clang fp contract(off)

HWY_BEFORE_NAMESPACE();
namespace pith {
namespace HWY_NAMESPACE {
namespace {

/// The smallest (or 0), the largest (or 0), and the largest pattern of |x|.
struct Extent {
  float low, high;
  bool finite;
};

HWY_INLINE Extent ExtentOf(const float *source, size_t count) {
  const TagF f;
  const TagI i32;
  VecF low = hn::Zero(f);
  VecF high = hn::Zero(f);
  VecI top = hn::Zero(i32);
  const VecI magnitude = hn::Set(i32, 0x7FFFFFFF);
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const VecF x = hn::LoadU(f, source + i);
    low = hn::Min(low, x);
    high = hn::Max(high, x);
    top = hn::Max(top, hn::And(hn::BitCast(i32, x), magnitude));
  }
  if (i < count) {
    float rest[kLanes] = {};
    memcpy(rest, source + i, (count - i) * sizeof(float));
    const VecF x = hn::LoadU(f, rest);
    low = hn::Min(low, x);
    high = hn::Max(high, x);
    top = hn::Max(top, hn::And(hn::BitCast(i32, x), magnitude));
  }
  const int32_t pattern = hn::GetLane(hn::MaxOfLanes(i32, top));
  return {
      hn::GetLane(hn::MinOfLanes(f, low)), hn::GetLane(hn::MaxOfLanes(f, high)),
      pattern < 0x7F800000};
}

/// A grid point in vectors.
struct Point {
  VecF scale, low, high;
  VecI zero;

  HWY_INLINE Point(PithGridPoint point, int bits)
      : scale(hn::Set(TagF(), point.scale)),
        low(hn::Set(TagF(), static_cast<float>(-point.zero))),
        high(hn::Set(TagF(), static_cast<float>(TopCode(bits) - point.zero))),
        zero(hn::Set(TagI(), point.zero - 0x4B400000)) {}

  /// rne(x / scale), clamped to the codes, plus 1.5·2^23: the integer then sits in the low bits
  /// of the pattern. Clamping first changes nothing, as the limits are integers, and keeps the
  /// addition in the range where it rounds to integers, ties to even.
  HWY_INLINE VecF Shifted(VecF x) const {
    const VecF q = hn::Min(hn::Max(hn::Div(x, scale), low), high);
    return hn::Add(q, hn::Set(TagF(), 12582912.0f));
  }
  HWY_INLINE VecF Value(VecF shifted) const {
    return hn::Mul(hn::Sub(shifted, hn::Set(TagF(), 12582912.0f)), scale);
  }
  HWY_INLINE VecI Code(VecF shifted) const {
    return hn::Add(hn::BitCast(TagI(), shifted), zero);
  }
};

HWY_INLINE double ErrorOf(Point point, const float *source, size_t count) {
  LaneSums sums;
  const auto add = [&](const float *block) HWY_ATTR {
    for (size_t v = 0; v < kVectors; ++v) {
      const VecF x = hn::LoadU(TagF(), block + v * kLanes);
      const VecF e = hn::Sub(x, point.Value(point.Shifted(x)));
      const VecD e0 = LowerDouble(e);
      const VecD e1 = UpperDouble(e);
      sums.AddProduct(v, e0, e1, e0, e1);
    }
  };
  size_t i = 0;
  for (; i + kBlock <= count; i += kBlock) add(source + i);
  if (i < count) {
    float rest[kBlock];
    PadBlock(source + i, count - i, rest);
    add(rest);
  }
  return sums.Fold();
}

/// Encodes one run on one grid point; writes its codes, one a byte, in whole blocks (so up to 15
/// bytes beyond the end).
HWY_INLINE void EncodeRun(
    Point point, const float *source, size_t count, uint8_t *codes, RunSums &sums) {
  const auto encode = [&](const float *block, uint8_t *target) HWY_ATTR {
    for (size_t v = 0; v < kVectors; ++v) {
      const VecF x = hn::LoadU(TagF(), block + v * kLanes);
      const VecF shifted = point.Shifted(x);
      const VecF y = point.Value(shifted);
      sums.Add(v, x, y, hn::Sub(x, y));
      hn::StoreU(hn::DemoteTo(TagB(), point.Code(shifted)), TagB(), target + v * kLanes);
    }
  };
  size_t i = 0;
  for (; i + kBlock <= count; i += kBlock) encode(source + i, codes + i);
  if (i < count) {
    float rest[kBlock];
    PadBlock(source + i, count - i, rest);
    encode(rest, codes + i);
  }
}

/// Collects codes and writes them packed, a multiple of eight at a time.
class Packer {
 public:
  Packer(int bits, uint8_t *target) : bits_(bits), target_(target) {}

  static constexpr size_t kPiece = 1024;

  /// Room for a piece of codes and the rest of a block.
  uint8_t *Next() { return codes_ + filled_; }

  void Advance(size_t count) {
    filled_ += count;
    if (filled_ < kPiece) return;
    const size_t whole = filled_ & ~size_t{7};
    Pack(codes_, whole, bits_, target_);
    target_ += whole / 8 * static_cast<size_t>(bits_);
    memmove(codes_, codes_ + whole, filled_ - whole);
    filled_ -= whole;
  }

  void Finish() { Pack(codes_, filled_, bits_, target_); }

 private:
  int bits_;
  uint8_t *target_;
  size_t filled_ = 0;
  uint8_t codes_[2 * kPiece + kBlock];
};

}  // namespace

double GridError(
    const PithGrid *grid, PithGridPoint point, const float *source, size_t count) {
  return ErrorOf(Point(point, grid->bits), source, count);
}

/// The best grid of some values, whose extent is finite.
HWY_INLINE PithGridPoint Fitted(
    const PithGrid &grid, const Extent &extent, const float *values, size_t count) {
  return BestPoint(grid, extent.low, extent.high, [&](PithGridPoint candidate) HWY_ATTR {
    return ErrorOf(Point(candidate, grid.bits), values, count);
  });
}

int64_t FitRows(
    const PithGrid *grid, const float *source, size_t rows, size_t columns, float *scales,
    float *zeros) {
  for (size_t row = 0; row < rows; ++row) {
    const float *values = source + row * columns;
    const Extent extent = ExtentOf(values, columns);
    if (!extent.finite) {
      return static_cast<int64_t>(row * columns) + pith_first_nonfinite_reference(values, columns);
    }
    const PithGridPoint point = Fitted(*grid, extent, values, columns);
    scales[row] = point.scale;
    zeros[row] = static_cast<float>(point.zero);
  }
  return -1;
}

int64_t EncodeInteger(
    const PithGrid *grid, const PithGridPoint *fixed, const float *source, size_t rows,
    size_t columns, size_t group, uint8_t *codes, void *scales, uint8_t *zeros,
    PithErrorSums *sums) {
  const size_t bits = static_cast<size_t>(grid->bits);
  const size_t groups = group > 0 ? columns / group : 0;
  const size_t row_bytes = (columns * bits + 7) / 8;
  const size_t zero_bytes = (groups * bits + 7) / 8;
  RunSums run;
  for (size_t row = 0; row < rows; ++row) {
    Packer packer(grid->bits, codes + row * row_bytes);
    Packer zero_packer(grid->bits, zeros == nullptr ? nullptr : zeros + row * zero_bytes);
    for (size_t g = 0; g < groups; ++g) {
      const size_t start = row * columns + g * group;
      const float *values = source + start;
      const Extent extent = ExtentOf(values, group);
      if (!extent.finite) {
        return static_cast<int64_t>(start) + pith_first_nonfinite_reference(values, group);
      }
      PithGridPoint point;
      if (fixed != nullptr) {
        point = *fixed;
      } else {
        point = Fitted(*grid, extent, values, group);
        StoreScale(point.scale, grid->scale_type, scales, row * groups + g);
        if (zeros != nullptr) {
          *zero_packer.Next() = static_cast<uint8_t>(point.zero);
          zero_packer.Advance(1);
        }
      }
      const Point vectors(point, grid->bits);
      for (size_t at = 0; at < group; at += Packer::kPiece) {
        const size_t count = group - at < Packer::kPiece ? group - at : Packer::kPiece;
        EncodeRun(vectors, values + at, count, packer.Next(), run);
        packer.Advance(count);
      }
    }
    packer.Finish();
    if (zeros != nullptr && fixed == nullptr) zero_packer.Finish();
  }
  run.AddTo(sums, rows * columns);
  return -1;
}

}  // namespace HWY_NAMESPACE
}  // namespace pith
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pith {
extern "C" {

double pith_grid_error(
    const PithGrid *grid, PithGridPoint point, const float *source, size_t count) {
  return PITH_DISPATCH(GridError)(grid, point, source, count);
}

int64_t pith_fit_rows(const PithGrid *grid, const float *source, size_t rows, size_t columns,
                      float *scales, float *zeros) {
  return PITH_DISPATCH(FitRows)(grid, source, rows, columns, scales, zeros);
}

int64_t pith_encode_integer(
    const PithGrid *grid, const PithGridPoint *fixed, const float *source, size_t rows,
    size_t columns, size_t group, uint8_t *codes, void *scales, uint8_t *zeros,
    PithErrorSums *sums) {
  return PITH_DISPATCH(EncodeInteger)(
      grid, fixed, source, rows, columns, group, codes, scales, zeros, sums);
}
}
}  // namespace pith
#endif
