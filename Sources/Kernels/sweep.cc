// The column loops of calibrated quantization, rows as lanes.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "sweep.cc"
#include "target.h"

#include <hwy/foreach_target.h>

#include "include/PithSweep.h"
#include "lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pith {
namespace HWY_NAMESPACE {
namespace {

/// Vectors of one chunk of rows: PITH_SWEEP_LANES in all.
constexpr size_t kChunk = PITH_SWEEP_LANES;
constexpr size_t kChunkVectors = kChunk / kLanes;

/// The grid of one vector of rows in one column. Another format is another type with the same two
/// members, and a template argument below.
struct IntegerLanes {
  VecF scale, low, high, zero;

  HWY_INLINE IntegerLanes(const float *scales, const float *zeros, float top)
      : scale(hn::LoadU(TagF(), scales)), zero(hn::LoadU(TagF(), zeros)) {
    low = hn::Neg(zero);
    high = hn::Sub(hn::Set(TagF(), top), zero);
  }

  /// The steps from zero of the nearest code, a whole number. Clamped first: the limits are whole
  /// numbers, and the addition then rounds to whole numbers, ties to even.
  HWY_INLINE VecF Steps(VecF x) const {
    const VecF magic = hn::Set(TagF(), 12582912.0f);
    const VecF q = hn::Min(hn::Max(hn::Div(x, scale), low), high);
    return hn::Sub(hn::Add(q, magic), magic);
  }
  HWY_INLINE VecF Value(VecF steps) const { return hn::Mul(steps, scale); }
  HWY_INLINE void StoreCode(VecF steps, uint8_t *target) const {
    hn::StoreU(hn::DemoteTo(TagB(), hn::ConvertTo(TagI(), hn::Add(steps, zero))), TagB(), target);
  }
};

/// Σ over rows of products, in f64; kRows vectors of rows.
template <size_t kRows>
struct ChunkSums {
  VecD low[kRows], high[kRows];

  HWY_INLINE ChunkSums() {
    for (size_t v = 0; v < kRows; ++v) low[v] = high[v] = hn::Zero(TagD());
  }
  HWY_INLINE void AddSquare(size_t v, VecF x) {
    const VecD a = LowerDouble(x), b = UpperDouble(x);
    low[v] = hn::MulAdd(a, a, low[v]);
    high[v] = hn::MulAdd(b, b, high[v]);
  }
  HWY_INLINE void StoreLanes(float *target) const {
    for (size_t v = 0; v < kRows; ++v) {
      double lanes[kLanes];
      hn::StoreU(low[v], TagD(), lanes);
      hn::StoreU(high[v], TagD(), lanes + kLanes / 2);
      for (size_t i = 0; i < kLanes; ++i) target[v * kLanes + i] = static_cast<float>(lanes[i]);
    }
  }
  HWY_INLINE double Fold() const {
    double sum = 0;
    for (size_t v = 0; v < kRows; ++v) {
      double lanes[kLanes];
      hn::StoreU(low[v], TagD(), lanes);
      hn::StoreU(high[v], TagD(), lanes + kLanes / 2);
      for (size_t i = 0; i < kLanes; ++i) sum += lanes[i];
    }
    return sum;
  }
};

/// totals[c] += Σ_j coefficients[c · stride + j] · lines[j], for kRows vectors of rows.
template <size_t kColumns, size_t kRows>
HWY_INLINE void Accumulate(
    const float *coefficients, size_t stride, const float *lines, size_t from, size_t to,
    VecF (*totals)[kRows]) {
  const TagF f;
  // Sums of their own: those handed in might lie where the lines do, for all the compiler knows.
  VecF sums[kColumns][kRows];
  for (size_t c = 0; c < kColumns; ++c) {
    for (size_t v = 0; v < kRows; ++v) sums[c][v] = totals[c][v];
  }
  for (size_t j = from; j < to; ++j) {
    VecF line[kRows];
    for (size_t v = 0; v < kRows; ++v) {
      line[v] = hn::Load(f, lines + (j * kRows + v) * kLanes);
    }
    for (size_t c = 0; c < kColumns; ++c) {
      const VecF coefficient = hn::Set(f, coefficients[c * stride + j]);
      for (size_t v = 0; v < kRows; ++v) sums[c][v] = hn::MulAdd(coefficient, line[v], sums[c][v]);
    }
  }
  for (size_t c = 0; c < kColumns; ++c) {
    for (size_t v = 0; v < kRows; ++v) totals[c][v] = sums[c][v];
  }
}

/// The columns of kRows vectors of rows, from row `row` on: enough vectors hide the time from a
/// column's sum to its difference.
template <class Grid, size_t kRows>
HWY_INLINE PithSweepSums SweepRows(
    const PithColumns &columns, const float *factor, const float *sums, float *differences,
    float *residuals, float *lane_loss, size_t row) {
  const TagF f;
  constexpr size_t kAcross = kRows <= 4 ? 4 : 1;
  const size_t count = columns.count;
  const size_t stride = columns.stride;
  const float top = static_cast<float>(columns.top);
  // Differences side by side: a column's own stride would land them all in few sets of the first
  // cache.
  HWY_ALIGN float lines[PITH_SWEEP_COLUMNS * kRows * kLanes];
  ChunkSums<kRows> loss, squares;
  VecF totals[kAcross][kRows];
  size_t begin = count;
  for (size_t i = count; i-- > 0;) {
    if (i < begin) {
      // The next columns together: what those before them left behind is read once for all.
      const size_t end = begin;
      const bool whole = end >= kAcross;
      begin = whole ? end - kAcross : end - 1;
      for (size_t c = begin; c < end; ++c) {
        for (size_t v = 0; v < kRows; ++v) {
          totals[c - begin][v] =
              sums == nullptr ? hn::Zero(f) : hn::LoadU(f, sums + c * stride + row + v * kLanes);
        }
      }
      if (whole) {
        Accumulate<kAcross>(factor + begin * count, count, lines, end, count, totals);
      } else {
        Accumulate<1>(factor + begin * count, count, lines, end, count, totals);
      }
    }
    const float pivot = factor[i * count + i];
    const VecF inverse = hn::Set(f, 1.0f / pivot);
    const size_t grid_row = static_cast<size_t>(columns.grid_index[i]) * stride + row;
    uint8_t *codes = columns.codes + static_cast<size_t>(columns.code_index[i]) * stride + row;
    for (size_t v = 0; v < kRows; ++v) {
      const size_t at = row + v * kLanes;
      const Grid grid(
          columns.scales + grid_row + v * kLanes, columns.zeros + grid_row + v * kLanes, top);
      const VecF target = hn::LoadU(f, columns.targets + i * stride + at);
      const VecF wanted = hn::MulAdd(totals[i - begin][v], inverse, target);
      VecF steps = grid.Steps(wanted);
      if (columns.kept != nullptr) {
        const VecF kept = hn::LoadU(f, columns.kept + i * stride + at);
        steps = hn::IfThenElse(hn::Eq(kept, hn::Zero(f)), hn::Zero(f), steps);
      }
      const VecF value = grid.Value(steps);
      const VecF difference = hn::Sub(target, value);
      grid.StoreCode(steps, codes + v * kLanes);
      hn::Store(difference, f, lines + (i * kRows + v) * kLanes);
      hn::StoreU(difference, f, differences + i * stride + at);
      const VecF residual = hn::Mul(hn::Sub(wanted, value), hn::Set(f, pivot));
      if (residuals != nullptr) hn::StoreU(residual, f, residuals + i * stride + at);
      loss.AddSquare(v, residual);
      squares.AddSquare(v, difference);
      for (size_t c = begin; c < i; ++c) {
        totals[c - begin][v] =
            hn::MulAdd(hn::Set(f, factor[c * count + i]), difference, totals[c - begin][v]);
      }
    }
  }
  if (lane_loss != nullptr) loss.StoreLanes(lane_loss + row);
  return {loss.Fold(), squares.Fold()};
}

template <class Grid>
HWY_INLINE PithSweepSums SweepRun(
    const PithColumns &columns, const float *factor, const float *sums, float *differences,
    float *residuals, float *lane_loss) {
  PithSweepSums result = {0, 0};
  const auto add = [&](PithSweepSums part) {
    result.loss += part.loss;
    result.squared_error += part.squared_error;
  };
  constexpr size_t kMany = 2 * kChunkVectors <= 4 ? 2 * kChunkVectors : kChunkVectors;
  size_t row = 0;
  for (; row + kMany * kLanes <= columns.stride; row += kMany * kLanes) {
    add(SweepRows<Grid, kMany>(columns, factor, sums, differences, residuals, lane_loss, row));
  }
  for (; row < columns.stride; row += kChunk) {
    add(SweepRows<Grid, kChunkVectors>(
        columns, factor, sums, differences, residuals, lane_loss, row));
  }
  return result;
}

template <class Grid>
HWY_INLINE uint64_t DescendRun(
    const PithColumns &columns, const float *gram, float *gradients, float *differences,
    int32_t passes) {
  const TagF f;
  const size_t count = columns.count;
  const size_t stride = columns.stride;
  const float top = static_cast<float>(columns.top);
  uint64_t changes = 0;
  HWY_ALIGN float lines[PITH_SWEEP_COLUMNS * kChunk];
  for (size_t row = 0; row < stride; row += kChunk) {
    for (size_t i = 0; i < count; ++i) {
      memcpy(lines + i * kChunk, gradients + i * stride + row, kChunk * sizeof(float));
    }
    for (int32_t pass = 0; pass < passes; ++pass) {
      uint64_t before = changes;
      for (size_t i = 0; i < count; ++i) {
        const float curvature = gram[i * count + i];
        if (!(curvature > 0)) continue;
        const VecF inverse = hn::Set(f, 1.0f / curvature);
        const size_t grid_row = static_cast<size_t>(columns.grid_index[i]) * stride + row;
        uint8_t *codes = columns.codes + static_cast<size_t>(columns.code_index[i]) * stride + row;
        VecF moved[kChunkVectors];
        size_t moves = 0;
        for (size_t v = 0; v < kChunkVectors; ++v) {
          const size_t at = i * stride + row + v * kLanes;
          const Grid grid(
              columns.scales + grid_row + v * kLanes, columns.zeros + grid_row + v * kLanes, top);
          const VecF target = hn::LoadU(f, columns.targets + at);
          const VecF old = hn::LoadU(f, differences + at);
          const VecF gradient = hn::Load(f, lines + i * kChunk + v * kLanes);
          // The best value with the others as they are, and the nearest code to it.
          const VecF steps =
              grid.Steps(hn::MulAdd(gradient, inverse, hn::Sub(target, old)));
          const VecF now = hn::Sub(target, grid.Value(steps));
          VecF step = hn::Sub(now, old);
          // Only what gains more than the roundings of its own computation is taken.
          const VecF gain = hn::Mul(step, hn::MulAdd(step, hn::Set(f, curvature),
                                                     hn::Add(gradient, gradient)));
          const VecF margin = hn::Mul(hn::Set(f, -1e-5f * curvature), hn::Mul(step, step));
          auto taken = hn::Lt(gain, margin);
          if (columns.kept != nullptr) {
            const VecF kept = hn::LoadU(f, columns.kept + at);
            taken = hn::And(taken, hn::Ne(kept, hn::Zero(f)));
          }
          step = hn::IfThenElseZero(taken, step);
          const size_t here = hn::CountTrue(f, taken);
          moves += here;
          moved[v] = step;
          if (here == 0) continue;
          hn::StoreU(hn::IfThenElse(taken, now, old), f, differences + at);
          const VecF kept_steps = hn::Round(hn::Div(hn::Sub(target, old), grid.scale));
          grid.StoreCode(hn::IfThenElse(taken, steps, kept_steps), codes + v * kLanes);
        }
        if (moves == 0) continue;
        changes += moves;
        const float *coefficients = gram + i * count;
        for (size_t j = 0; j < count; ++j) {
          const VecF c = hn::Set(f, coefficients[j]);
          float *line = lines + j * kChunk;
          for (size_t v = 0; v < kChunkVectors; ++v) {
            hn::Store(hn::MulAdd(c, moved[v], hn::Load(f, line + v * kLanes)), f, line + v * kLanes);
          }
        }
      }
      if (changes == before) break;
    }
    for (size_t i = 0; i < count; ++i) {
      memcpy(gradients + i * stride + row, lines + i * kChunk, kChunk * sizeof(float));
    }
  }
  return changes;
}

}  // namespace

PithSweepSums SweepInteger(
    const PithColumns *columns, const float *factor, const float *sums, float *differences,
    float *residuals, float *lane_loss) {
  return SweepRun<IntegerLanes>(*columns, factor, sums, differences, residuals, lane_loss);
}

uint64_t DescendInteger(
    const PithColumns *columns, const float *gram, float *gradients, float *differences,
    int32_t passes) {
  return DescendRun<IntegerLanes>(*columns, gram, gradients, differences, passes);
}

}  // namespace HWY_NAMESPACE
}  // namespace pith
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pith {
namespace {

typedef uint8_t Line __attribute__((vector_size(16)));

typedef float Four __attribute__((vector_size(16)));

}  // namespace

extern "C" {

void pith_turn_bytes(const uint8_t *source, size_t stride, size_t columns, uint8_t *target,
                     size_t pitch) {
  for (size_t column = 0; column < columns; column += 16) {
    Line lines[16], next[16];
    for (size_t i = 0; i < 16; ++i) memcpy(&lines[i], source + (column + i) * stride, 16);
    // Zipping line i with line i + 8 four times turns a square about.
    for (size_t round = 0; round < 4; ++round) {
      for (size_t i = 0; i < 8; ++i) {
        const Line a = lines[i], b = lines[i + 8];
        next[2 * i] = __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22,
                                              7, 23);
        next[2 * i + 1] = __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13,
                                                  29, 14, 30, 15, 31);
      }
      memcpy(lines, next, sizeof(lines));
    }
    for (size_t i = 0; i < 16; ++i) memcpy(target + i * pitch + column, &lines[i], 16);
  }
}

void pith_turn_floats(const float *source, ptrdiff_t stride, float *target, ptrdiff_t pitch) {
  for (ptrdiff_t i = 0; i < 16; i += 4) {
    for (ptrdiff_t j = 0; j < 16; j += 4) {
      Four a, b, c, d;
      memcpy(&a, source + i * stride + j, sizeof(Four));
      memcpy(&b, source + (i + 1) * stride + j, sizeof(Four));
      memcpy(&c, source + (i + 2) * stride + j, sizeof(Four));
      memcpy(&d, source + (i + 3) * stride + j, sizeof(Four));
      const Four e = __builtin_shufflevector(a, b, 0, 4, 1, 5);
      const Four f = __builtin_shufflevector(a, b, 2, 6, 3, 7);
      const Four g = __builtin_shufflevector(c, d, 0, 4, 1, 5);
      const Four h = __builtin_shufflevector(c, d, 2, 6, 3, 7);
      const Four turned[4] = {
          __builtin_shufflevector(e, g, 0, 1, 4, 5), __builtin_shufflevector(e, g, 2, 3, 6, 7),
          __builtin_shufflevector(f, h, 0, 1, 4, 5), __builtin_shufflevector(f, h, 2, 3, 6, 7)};
      for (ptrdiff_t k = 0; k < 4; ++k) {
        memcpy(target + (j + k) * pitch + i, &turned[k], sizeof(Four));
      }
    }
  }
}

PithSweepSums pith_sweep_integer(
    const PithColumns *columns, const float *factor, const float *sums, float *differences,
    float *residuals, float *lane_loss) {
  return PITH_DISPATCH(SweepInteger)(columns, factor, sums, differences, residuals, lane_loss);
}

uint64_t pith_descend_integer(
    const PithColumns *columns, const float *gram, float *gradients, float *differences,
    int32_t passes) {
  return PITH_DISPATCH(DescendInteger)(columns, gram, gradients, differences, passes);
}
}
}  // namespace pith
#endif
