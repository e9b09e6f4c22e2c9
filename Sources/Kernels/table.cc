// Table formats: codes that stand for any 2 to 256 values, times a scale.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "table.cc"
#include "target.h"

#include <hwy/foreach_target.h>

#include "conversion-inl.h"
#include "include/PithKernels.h"
#include "lanes-inl.h"
#include "scales-inl.h"
#include "table_rows.h"
#include "unpack-inl.h"

#pragma clang fp contract(off)

HWY_BEFORE_NAMESPACE();
namespace pith {
namespace HWY_NAMESPACE {
namespace {

/// Tables of up to so many values are searched from end to end, larger ones by halving.
constexpr int kShort = 16;

/// The place among the sorted values: how many bounds lie below.
HWY_INLINE VecI PlaceOf(const PithTable &table, VecF x) {
  const TagI i32;
  VecI place = hn::Zero(i32);
  if (table.count <= kShort) {
    for (int i = 0; i + 1 < table.count; ++i) {
      const auto above = hn::Gt(x, hn::Set(TagF(), table.bounds[i]));
      place = hn::Sub(place, hn::VecFromMask(i32, hn::RebindMask(i32, above)));
    }
    return place;
  }
  for (int step = 128; step > 0; step /= 2) {
    const VecI probe = hn::Add(place, hn::Set(i32, step - 1));
    const VecF bound = hn::GatherIndex(TagF(), table.bounds, probe);
    const auto above = hn::RebindMask(i32, hn::Gt(x, bound));
    place = hn::Add(place, hn::IfThenElseZero(above, hn::Set(i32, step)));
  }
  return place;
}

/// The nearest sorted value.
HWY_INLINE VecF NearestOf(const PithTable &table, VecF x) {
  if (table.count > kShort) return hn::GatherIndex(TagF(), table.sorted, PlaceOf(table, x));
  VecF value = hn::Set(TagF(), table.sorted[0]);
  for (int i = 0; i + 1 < table.count; ++i) {
    const auto above = hn::Gt(x, hn::Set(TagF(), table.bounds[i]));
    value = hn::IfThenElse(above, hn::Set(TagF(), table.sorted[i + 1]), value);
  }
  return value;
}

HWY_INLINE float LargestOf(const float *source, size_t count) {
  VecF largest = hn::Zero(TagF());
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    largest = hn::Max(largest, hn::Abs(hn::LoadU(TagF(), source + i)));
  }
  float result = hn::GetLane(hn::MaxOfLanes(TagF(), largest));
  for (; i < count; ++i) {
    const float x = source[i] < 0 ? -source[i] : source[i];
    if (x > result) result = x;
  }
  return result;
}

}  // namespace

double TableError(const PithTable *table, float scale, const float *source, size_t count) {
  LaneSums sums;
  const VecF s = hn::Set(TagF(), scale);
  const auto add = [&](const float *block) HWY_ATTR {
    for (size_t v = 0; v < kVectors; ++v) {
      const VecF x = hn::LoadU(TagF(), block + v * kLanes);
      const VecF e = hn::Sub(x, hn::Mul(NearestOf(*table, hn::Div(x, s)), s));
      const VecD e0 = LowerDouble(e);
      const VecD e1 = UpperDouble(e);
      sums.AddProduct(v, e0, e1, e0, e1);
    }
  };
  size_t i = 0;
  for (; i + kBlock <= count; i += kBlock) add(source + i);
  double rest = 0;
  if (i < count) {
    // Padding would count where a table has no zero.
    float block[kBlock];
    PadBlock(source + i, count - i, block);
    float value[kBlock];
    for (size_t v = 0; v < kVectors; ++v) {
      const VecF x = hn::LoadU(TagF(), block + v * kLanes);
      hn::StoreU(
          hn::Sub(x, hn::Mul(NearestOf(*table, hn::Div(x, s)), s)), TagF(), value + v * kLanes);
    }
    for (size_t k = 0; k < count - i; ++k) {
      rest += static_cast<double>(value[k]) * static_cast<double>(value[k]);
    }
  }
  return sums.Fold() + rest;
}

size_t TableChoose(
    const PithTable *table, const float *scales, size_t scale_count, const float *source,
    size_t count) {
  if (scale_count < 2) return 0;
  const double largest = LargestOf(source, count);
  const float low = -table->sorted[0];
  const float high = table->sorted[table->count - 1];
  const double reach = low > high ? low : high;
  size_t best = 0;
  double best_error = TableError(table, scales[0], source, count);
  for (size_t i = 1; i < scale_count; ++i) {
    const double beyond = largest - reach * static_cast<double>(scales[i]);
    if (beyond > 0 && beyond * beyond * 0.9999 >= best_error) break;
    const double error = TableError(table, scales[i], source, count);
    if (error < best_error) {
      best_error = error;
      best = i;
    }
  }
  return best;
}

void TableEncode(
    const PithTable *table, float scale, const float *source, size_t count, uint8_t *codes,
    float *values) {
  const VecF s = hn::Set(TagF(), scale);
  const auto encode = [&](const float *from, float *value, int32_t *place) HWY_ATTR {
    for (size_t v = 0; v < kVectors; ++v) {
      const VecF x = hn::LoadU(TagF(), from + v * kLanes);
      const VecI p = PlaceOf(*table, hn::Div(x, s));
      hn::StoreU(
          hn::Mul(hn::GatherIndex(TagF(), table->sorted, p), s), TagF(), value + v * kLanes);
      hn::StoreU(p, TagI(), place + v * kLanes);
    }
  };
  int32_t place[kBlock];
  for (size_t i = 0; i < count; i += kBlock) {
    const size_t held = count - i < kBlock ? count - i : kBlock;
    if (held == kBlock) {
      encode(source + i, values + i, place);
    } else {
      float block[kBlock], value[kBlock];
      PadBlock(source + i, held, block);
      encode(block, value, place);
      memcpy(values + i, value, held * sizeof(float));
    }
    for (size_t k = 0; k < held; ++k) codes[i + k] = table->codes[place[k]];
  }
}

namespace {

/// Columns unpacked at a time: a multiple of 8 and of 5, so that every piece begins on a byte.
constexpr size_t kTablePiece = 1280;

/// One row's scales, widened a stretch at a time.
class RowScales {
 public:
  RowScales(const PithTableRows &weight, size_t row)
      : weight_(weight), start_(row * weight.scales_stride) {}

  HWY_INLINE float Find(size_t group) {
    if (group < first_ || group >= first_ + held_) Fill(group);
    return scale_[group - first_];
  }

 private:
  void Fill(size_t group) {
    const size_t groups = weight_.columns / weight_.group;
    first_ = group;
    held_ = groups - first_ < kHeldScales ? groups - first_ : kHeldScales;
    const size_t at = start_ + first_;
    if (weight_.scale_type == PITH_CODED) {
      for (size_t i = 0; i < held_; ++i) scale_[i] = ScaleAt(weight_, at + i);
    } else {
      const size_t size = weight_.scale_type == PITH_F32 ? 4 : 2;
      const uint8_t *bytes = static_cast<const uint8_t *>(weight_.scales);
      WidenScales(weight_.scale_type, bytes + size * at, held_, scale_);
    }
  }

  const PithTableRows &weight_;
  size_t start_;
  size_t first_ = 0, held_ = 0;
  float scale_[kHeldScales + kBlock];
};

/// The values of codes: from registers where 16 fit into one or two, from memory elsewhere.
class Values {
 public:
  explicit Values(const PithTableRows &weight)
      : values_(weight.values), isShort_(weight.bits <= 4 && kLanes >= 8) {
    low_ = hn::LoadU(TagF(), values_);
    high_ = hn::LoadU(TagF(), values_ + (kLanes == 8 ? 8 : 0));
  }

  HWY_INLINE VecF Of(const uint8_t *codes) const {
    const VecI code = hn::PromoteTo(TagI(), hn::LoadU(TagB(), codes));
    if (!isShort_) return hn::GatherIndex(TagF(), values_, code);
    const VecI within = hn::And(code, hn::Set(TagI(), static_cast<int32_t>(kLanes - 1)));
    const auto places = hn::IndicesFromVec(TagF(), within);
    const VecF low = hn::TableLookupLanes(low_, places);
    if (kLanes != 8) return low;
    const auto above = hn::RebindMask(TagF(), hn::Gt(code, hn::Set(TagI(), 7)));
    return hn::IfThenElse(above, hn::TableLookupLanes(high_, places), low);
  }

  HWY_INLINE float One(uint8_t code) const { return values_[code]; }

 private:
  const float *values_;
  bool isShort_;
  VecF low_, high_;
};

HWY_INLINE void UnpackTablePiece(
    const PithTableRows &weight, const uint8_t *row, size_t first, size_t count,
    uint8_t *codes) {
  switch (weight.packing) {
    case PITH_PACKED_TRITS: return UnpackTrits(row + first / kTritRun, count, codes);
    case PITH_PACKED_2_4: {
      HWY_ALIGN uint8_t high[kTablePiece + kBlock];
      UnpackTwo(row + first / 4, count, high);
      UnpackFour(row + HighBytes(weight.columns) + first / 2, count, codes);
      const hn::Full128<uint8_t> d;
      for (size_t i = 0; i < count; i += 16) {
        // Shifted as 16-bit numbers: two bits four up never cross into the neighbour.
        const hn::Repartition<uint16_t, decltype(d)> wide;
        const auto up = hn::BitCast(d, hn::ShiftLeft<4>(hn::BitCast(wide, hn::LoadU(d, high + i))));
        hn::StoreU(hn::Or(up, hn::LoadU(d, codes + i)), d, codes + i);
      }
      return;
    }
    default:
      UnpackPiece(
          row + first / 8 * static_cast<size_t>(weight.bits), count, weight.bits, codes);
  }
}

/// Calls `visit(column, count, codes, scale)` for each run of columns of a row that shares a
/// scale and lies in one unpacked piece. `codes` may be read up to a block beyond its end.
template <class Visit>
HWY_INLINE void ForEachTableRun(const PithTableRows &weight, size_t row, Visit visit) {
  HWY_ALIGN uint8_t unpacked[kTablePiece + 2 * kBlock];
  const uint8_t *packed = weight.codes + row * weight.codes_stride;
  RowScales scales(weight, row);
  for (size_t piece = 0; piece < weight.columns; piece += kTablePiece) {
    const size_t left = weight.columns - piece;
    const size_t held = left < kTablePiece ? left : kTablePiece;
    UnpackTablePiece(weight, packed, piece, held, unpacked);
    size_t column = piece;
    while (column < piece + held) {
      const size_t group = column / weight.group;
      const size_t border = (group + 1) * weight.group;
      const size_t stop = border < piece + held ? border : piece + held;
      visit(column, stop - column, unpacked + (column - piece), scales.Find(group));
      column = stop;
    }
  }
}

}  // namespace

void DecodeTable(
    const PithTableRows *weight, size_t first_row, size_t rows, float *target,
    size_t target_stride) {
  const Values values(*weight);
  for (size_t r = 0; r < rows; ++r) {
    float *to = target + r * target_stride;
    ForEachTableRun(
        *weight, first_row + r,
        [&](size_t column, size_t count, const uint8_t *codes, float scale) HWY_ATTR {
          const VecF s = hn::Set(TagF(), scale);
          size_t i = 0;
          for (; i + kLanes <= count; i += kLanes) {
            hn::StoreU(hn::Mul(values.Of(codes + i), s), TagF(), to + column + i);
          }
          for (; i < count; ++i) to[column + i] = values.One(codes[i]) * scale;
        });
  }
}

namespace {

/// Products of one weight row with `kRows` rows of x.
template <size_t kRows>
HWY_INLINE void MultiplyTableRow(
    const PithTableRows &weight, const Values &values, size_t row, const float *x,
    size_t x_stride, float *y, size_t y_stride) {
  VecF sums[kRows][2];
  float rest[kRows] = {};
  for (size_t t = 0; t < kRows; ++t) sums[t][0] = sums[t][1] = hn::Zero(TagF());
  ForEachTableRun(
      weight, row,
      [&](size_t column, size_t count, const uint8_t *codes, float scale) HWY_ATTR {
        const VecF s = hn::Set(TagF(), scale);
        const float *at = x + column;
        size_t i = 0;
        // Two independent sums hide half the latency of the addition.
        for (; i + 2 * kLanes <= count; i += 2 * kLanes) {
          for (size_t k = 0; k < 2; ++k) {
            const size_t j = i + k * kLanes;
            const VecF w = hn::Mul(values.Of(codes + j), s);
            for (size_t t = 0; t < kRows; ++t) {
              sums[t][k] = hn::MulAdd(w, hn::LoadU(TagF(), at + t * x_stride + j), sums[t][k]);
            }
          }
        }
        for (; i + kLanes <= count; i += kLanes) {
          const VecF w = hn::Mul(values.Of(codes + i), s);
          for (size_t t = 0; t < kRows; ++t) {
            sums[t][0] = hn::MulAdd(w, hn::LoadU(TagF(), at + t * x_stride + i), sums[t][0]);
          }
        }
        for (; i < count; ++i) {
          const float w = values.One(codes[i]) * scale;
          for (size_t t = 0; t < kRows; ++t) rest[t] += w * at[t * x_stride + i];
        }
      });
  for (size_t t = 0; t < kRows; ++t) {
    const VecF all = hn::Add(sums[t][0], sums[t][1]);
    y[t * y_stride] += hn::GetLane(hn::SumOfLanes(TagF(), all)) + rest[t];
  }
}

}  // namespace

void MultiplyTable(
    const PithTableRows *weight, size_t first_row, size_t rows, const float *x, size_t x_rows,
    size_t x_stride, float *y, size_t y_stride) {
  const Values values(*weight);
  for (size_t r = 0; r < rows; ++r) {
    const size_t row = first_row + r;
    size_t t = 0;
    for (; t + 4 <= x_rows; t += 4) {
      MultiplyTableRow<4>(
          *weight, values, row, x + t * x_stride, x_stride, y + t * y_stride + r, y_stride);
    }
    const float *from = x + t * x_stride;
    float *to = y + t * y_stride + r;
    switch (x_rows - t) {
      case 3: MultiplyTableRow<3>(*weight, values, row, from, x_stride, to, y_stride); break;
      case 2: MultiplyTableRow<2>(*weight, values, row, from, x_stride, to, y_stride); break;
      case 1: MultiplyTableRow<1>(*weight, values, row, from, x_stride, to, y_stride); break;
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

double pith_table_error(
    const PithTable *table, float scale, const float *source, size_t count) {
  return PITH_DISPATCH(TableError)(table, scale, source, count);
}

size_t pith_table_choose(
    const PithTable *table, const float *scales, size_t scale_count, const float *source,
    size_t count) {
  return PITH_DISPATCH(TableChoose)(table, scales, scale_count, source, count);
}

void pith_table_encode(
    const PithTable *table, float scale, const float *source, size_t count, uint8_t *codes,
    float *values) {
  PITH_DISPATCH(TableEncode)(table, scale, source, count, codes, values);
}

void pith_decode_table(
    const PithTableRows *weight, size_t first_row, size_t rows, float *target,
    size_t target_stride) {
  PITH_DISPATCH(DecodeTable)(weight, first_row, rows, target, target_stride);
}

void pith_multiply_table(
    const PithTableRows *weight, size_t first_row, size_t rows, const float *x, size_t x_rows,
    size_t x_stride, float *y, size_t y_stride) {
  PITH_DISPATCH(MultiplyTable)(weight, first_row, rows, x, x_rows, x_stride, y, y_stride);
}
}
}  // namespace pith
#endif
