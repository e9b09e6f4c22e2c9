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

/// Σ over rows of products, in f64.
struct ChunkSums {
  VecD low[kChunkVectors], high[kChunkVectors];

  HWY_INLINE ChunkSums() {
    for (size_t v = 0; v < kChunkVectors; ++v) low[v] = high[v] = hn::Zero(TagD());
  }
  HWY_INLINE void AddSquare(size_t v, VecF x) {
    const VecD a = LowerDouble(x), b = UpperDouble(x);
    low[v] = hn::MulAdd(a, a, low[v]);
    high[v] = hn::MulAdd(b, b, high[v]);
  }
  HWY_INLINE void StoreLanes(float *target) const {
    for (size_t v = 0; v < kChunkVectors; ++v) {
      double lanes[kLanes];
      hn::StoreU(low[v], TagD(), lanes);
      hn::StoreU(high[v], TagD(), lanes + kLanes / 2);
      for (size_t i = 0; i < kLanes; ++i) target[v * kLanes + i] = static_cast<float>(lanes[i]);
    }
  }
  HWY_INLINE double Fold() const {
    double sum = 0;
    for (size_t v = 0; v < kChunkVectors; ++v) {
      double lanes[kLanes];
      hn::StoreU(low[v], TagD(), lanes);
      hn::StoreU(high[v], TagD(), lanes + kLanes / 2);
      for (size_t i = 0; i < kLanes; ++i) sum += lanes[i];
    }
    return sum;
  }
};

/// Σ_j coefficients[j] · lines[j], for whole chunks of rows; several sums at once, since one
/// addition waits for the last.
HWY_INLINE void Accumulate(
    const float *coefficients, const float *lines, size_t from, size_t to,
    VecF (&total)[kChunkVectors]) {
  constexpr size_t kWays = kChunkVectors >= 4 ? 1 : 4;
  const TagF f;
  VecF sums[kWays][kChunkVectors];
  for (size_t w = 0; w < kWays; ++w) {
    for (size_t v = 0; v < kChunkVectors; ++v) sums[w][v] = hn::Zero(f);
  }
  size_t j = from;
  for (; j + kWays <= to; j += kWays) {
    for (size_t w = 0; w < kWays; ++w) {
      const VecF c = hn::Set(f, coefficients[j + w]);
      for (size_t v = 0; v < kChunkVectors; ++v) {
        sums[w][v] =
            hn::MulAdd(c, hn::Load(f, lines + (j + w) * kChunk + v * kLanes), sums[w][v]);
      }
    }
  }
  for (; j < to; ++j) {
    const VecF c = hn::Set(f, coefficients[j]);
    for (size_t v = 0; v < kChunkVectors; ++v) {
      sums[0][v] = hn::MulAdd(c, hn::Load(f, lines + j * kChunk + v * kLanes), sums[0][v]);
    }
  }
  for (size_t v = 0; v < kChunkVectors; ++v) {
    for (size_t w = 0; w < kWays; ++w) total[v] = hn::Add(total[v], sums[w][v]);
  }
}

template <class Grid>
HWY_INLINE PithSweepSums SweepRun(
    const PithColumns &columns, const float *factor, const float *sums, float *differences,
    float *residuals, float *lane_loss) {
  const TagF f;
  const size_t count = columns.count;
  const size_t stride = columns.stride;
  const float top = static_cast<float>(columns.top);
  PithSweepSums result = {0, 0};
  // A chunk's differences side by side: a column's own stride would land them all in few sets of
  // the first cache.
  HWY_ALIGN float lines[PITH_SWEEP_COLUMNS * kChunk];
  for (size_t row = 0; row < stride; row += kChunk) {
    ChunkSums loss, squares;
    for (size_t i = count; i-- > 0;) {
      VecF total[kChunkVectors];
      for (size_t v = 0; v < kChunkVectors; ++v) {
        total[v] = sums == nullptr ? hn::Zero(f)
                                   : hn::LoadU(f, sums + i * stride + row + v * kLanes);
      }
      Accumulate(factor + i * count, lines, i + 1, count, total);
      const float pivot = factor[i * count + i];
      const VecF inverse = hn::Set(f, 1.0f / pivot);
      const size_t grid_row = static_cast<size_t>(columns.grid_index[i]) * stride + row;
      uint8_t *codes = columns.codes + static_cast<size_t>(columns.code_index[i]) * stride + row;
      for (size_t v = 0; v < kChunkVectors; ++v) {
        const size_t at = row + v * kLanes;
        const Grid grid(
            columns.scales + grid_row + v * kLanes, columns.zeros + grid_row + v * kLanes, top);
        const VecF target = hn::LoadU(f, columns.targets + i * stride + at);
        const VecF wanted = hn::MulAdd(total[v], inverse, target);
        VecF steps = grid.Steps(wanted);
        if (columns.kept != nullptr) {
          const VecF kept = hn::LoadU(f, columns.kept + i * stride + at);
          steps = hn::IfThenElse(hn::Eq(kept, hn::Zero(f)), hn::Zero(f), steps);
        }
        const VecF value = grid.Value(steps);
        const VecF difference = hn::Sub(target, value);
        grid.StoreCode(steps, codes + v * kLanes);
        hn::Store(difference, f, lines + i * kChunk + v * kLanes);
        hn::StoreU(difference, f, differences + i * stride + at);
        const VecF residual = hn::Mul(hn::Sub(wanted, value), hn::Set(f, pivot));
        if (residuals != nullptr) hn::StoreU(residual, f, residuals + i * stride + at);
        loss.AddSquare(v, residual);
        squares.AddSquare(v, difference);
      }
    }
    result.loss += loss.Fold();
    result.squared_error += squares.Fold();
    if (lane_loss != nullptr) loss.StoreLanes(lane_loss + row);
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

/// The first or the last halves of two lines, byte by byte in turn.
Line Zipped(Line a, Line b, bool last) {
  return last ? __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30,
                                        15, 31)
              : __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7,
                                        23);
}

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
        next[2 * i] = Zipped(lines[i], lines[i + 8], false);
        next[2 * i + 1] = Zipped(lines[i], lines[i + 8], true);
      }
      memcpy(lines, next, sizeof(lines));
    }
    for (size_t i = 0; i < 16; ++i) memcpy(target + i * pitch + column, &lines[i], 16);
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
