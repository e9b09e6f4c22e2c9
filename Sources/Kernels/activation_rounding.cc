#include <float.h>
#include <math.h>

#include "forward_vector.h"
#include "include/PithActivations.h"

using namespace pith;

// Products and sums stand in statements of their own: a fused multiply-add would give other bits on
// processors that have one.

namespace {

struct Range {
  float low, high;
};

// What rounds a run: its grid with the scale settled.
struct Step {
  float scale;
  float zero;
};

PITH_INLINE void magnitude(const Lanes &x, Lanes &size) {
  size = (Lanes)((BitLanes)x & 0x7fffffffu);
}

// Largest |x|; a NaN does not count, and stays what it is.
PITH_INLINE float largest_magnitude(const float *x, size_t count) {
  Lanes best = {}, value, size;
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    load(value, x + i);
    magnitude(value, size);
    raise_to(best, size);
  }
  if (i < count) {
    load_tail(value, x + i, count - i, 0);
    magnitude(value, size);
    raise_to(best, size);
  }
  return maximum(best);
}

PITH_INLINE Range range_of(const float *x, size_t count) {
  Lanes low = Lanes{} + x[0], high = low, value;
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    load(value, x + i);
    low = value < low ? value : low;
    high = value > high ? value : high;
  }
  if (i < count) {
    load_tail(value, x + i, count - i, x[0]);
    low = value < low ? value : low;
    high = value > high ? value : high;
  }
  Range range = {low[0], high[0]};
  for (size_t lane = 1; lane < kLanes; ++lane) {
    range.low = low[lane] < range.low ? low[lane] : range.low;
    range.high = high[lane] > range.high ? high[lane] : range.high;
  }
  return range;
}

// 2^floor(log2 x) of a normal x.
PITH_INLINE float power_below(float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  bits &= 0x7f800000u;
  memcpy(&x, &bits, 4);
  return x;
}

// Adding 1.5 · 2^23 rounds to an integer, ties to even, for |x| < 2^22.
PITH_INLINE float nearest(float x) {
  const float magic = 12582912.0f;
  float y = x + magic;
  y = y - magic;
  return y;
}

// A number of a floating-point format, saturated; `smallest` is its smallest normal number.
PITH_INLINE float nearest_float(float x, int mantissa, float smallest, float largest) {
  const float size = fabsf(x);
  float step = power_below(size > smallest ? size : smallest);
  step = step / (float)(1 << mantissa);
  float y = nearest(size / step);
  y = y * step;
  y = y > largest ? largest : y;
  return copysignf(y, x);
}

PITH_INLINE float row_scale(const PithActivationGrid &grid, const float *x, size_t width) {
  if (grid.scale != PITH_SCALE_E4M3) return 1;
  if (grid.step > 0) return grid.step;
  const float own = grid.maximum > 0 ? grid.maximum : largest_magnitude(x, width) * grid.clip;
  return own / (448.0f * grid.largest);
}

// The scale of a run; 0 when it has no normal one.
PITH_INLINE Step step_of(const PithActivationGrid &grid, const float *x, size_t count,
                         float row) {
  Step step = {0, 0};
  switch (grid.kind) {
    case PITH_ROUND_ZERO_POINT: {
      Range range = range_of(x, count);
      const float low = range.low < 0 ? range.low * grid.clip : 0;
      const float high = range.high > 0 ? range.high * grid.clip : 0;
      // Two quotients: the difference of two large numbers may be infinite.
      const float above = high / grid.levels, below = low / grid.levels;
      step.scale = above - below;
      if (step.scale >= FLT_MIN) step.zero = nearest(-low / step.scale);
      break;
    }
    case PITH_ROUND_OFFSET: {
      Range range = range_of(x, count);
      const float above = range.high / grid.levels, below = range.low / grid.levels;
      step.scale = above - below;
      step.zero = range.low;
      break;
    }
    default: {
      const float top = grid.kind == PITH_ROUND_FLOAT ? grid.largest : grid.levels;
      const float own = grid.maximum > 0 ? grid.maximum : largest_magnitude(x, count) * grid.clip;
      if (grid.scale == PITH_SCALE_EXPONENT) {
        step.scale = own >= FLT_MIN ? power_below(own) / power_below(top) : 0;
      } else if (grid.scale == PITH_SCALE_E4M3) {
        if (row >= FLT_MIN) {
          float units = own / top / row;
          // A stored row lets a large finite run overflow; an infinite one is not hidden.
          if (units > 448.0f && own <= FLT_MAX) units = 448.0f;
          step.scale = nearest_float(units, 3, 0.015625f, 448.0f);
          step.scale = step.scale * row;
        }
      } else {
        step.scale = grid.step > 0 ? grid.step : own / top;
      }
    }
  }
  // NaN passes: an infinite run must not turn into numbers.
  if (step.scale < FLT_MIN) step.scale = 0;
  return step;
}

PITH_INLINE void nearest_lanes(Lanes &x) {
  const Lanes magic = Lanes{} + 12582912.0f;
  x = x + magic;
  x = x - magic;
}

PITH_INLINE void clamp(Lanes &x, float low, float high) {
  x = x > (Lanes{} + high) ? Lanes{} + high : x;
  x = x < (Lanes{} + low) ? Lanes{} + low : x;
}

template <int kind>
PITH_INLINE void round_lanes(Lanes &x, const PithActivationGrid &grid, const Step &step) {
  if (kind == PITH_ROUND_OFFSET) {
    x = x - step.zero;
    x = x / step.scale;
    nearest_lanes(x);
    clamp(x, 0, grid.levels);
    x = x * step.scale;
    x = x + step.zero;
  } else if (kind == PITH_ROUND_FLOAT) {
    x = x / step.scale;
    const BitLanes sign = (BitLanes)x & 0x80000000u;
    Lanes size;
    magnitude(x, size);
    // Beyond the largest the step's own bits could leave the range of integers that round exactly.
    size = size > (Lanes{} + 2 * grid.largest) ? Lanes{} + 2 * grid.largest : size;
    Lanes unit = size > (Lanes{} + grid.smallest_normal) ? size : Lanes{} + grid.smallest_normal;
    unit = (Lanes)((BitLanes)unit & 0x7f800000u);
    unit = unit / (float)(1 << grid.mantissa);
    Lanes value = size / unit;
    nearest_lanes(value);
    value = value * unit;
    value = value > (Lanes{} + grid.largest) ? Lanes{} + grid.largest : value;
    x = (Lanes)((BitLanes)value | sign);
    x = x * step.scale;
  } else {
    const bool shifted = kind == PITH_ROUND_ZERO_POINT;
    x = x / step.scale;
    // A range known beforehand may be far too small; integers beyond 2^22 do not round.
    clamp(x, -4 * grid.levels, 4 * grid.levels);
    nearest_lanes(x);
    if (shifted) {
      clamp(x, -step.zero, grid.levels - step.zero);
    } else {
      clamp(x, -grid.levels, grid.levels);
    }
    x = x * step.scale;
  }
  clamp(x, -FLT_MAX, FLT_MAX);
}

template <int kind>
PITH_INLINE void round_run(float *x, size_t count, const PithActivationGrid &grid,
                           const Step &step) {
  Lanes value;
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    load(value, x + i);
    round_lanes<kind>(value, grid, step);
    store(value, x + i);
  }
  if (i < count) {
    load_tail(value, x + i, count - i, 0);
    round_lanes<kind>(value, grid, step);
    store_tail(value, x + i, count - i);
  }
}

template <int kind>
PITH_INLINE void round_rows(float *x, size_t rows, size_t width, size_t stride, size_t run,
                            const PithActivationGrid &grid) {
  for (size_t row = 0; row < rows; ++row, x += stride) {
    const float whole = row_scale(grid, x, width);
    for (size_t first = 0; first < width; first += run) {
      const size_t count = run < width - first ? run : width - first;
      const Step step = step_of(grid, x + first, count, whole);
      if (step.scale != 0) {
        round_run<kind>(x + first, count, grid, step);
      } else if (kind == PITH_ROUND_OFFSET) {
        // All of a run in one spot, or next to it: its minimum stands for it.
        for (size_t i = 0; i < count; ++i) x[first + i] = step.zero;
      } else {
        memset(x + first, 0, count * sizeof(float));
      }
    }
  }
}

float round_plain(float x, const PithActivationGrid &grid, const Step &step) {
  float y;
  switch (grid.kind) {
    case PITH_ROUND_OFFSET:
      y = rintf((x - step.zero) / step.scale);
      y = y > grid.levels ? grid.levels : y < 0 ? 0 : y;
      y = y * step.scale;
      y = y + step.zero;
      break;
    case PITH_ROUND_FLOAT: {
      const float size = fabsf(x / step.scale);
      int exponent = size > 0 && isfinite(size) ? ilogbf(size) : ilogbf(grid.smallest_normal);
      const int lowest = ilogbf(grid.smallest_normal);
      if (exponent < lowest) exponent = lowest;
      const float unit = ldexpf(1, exponent - grid.mantissa);
      y = isnan(size) ? size : rintf(size / unit) * unit;
      y = y > grid.largest ? grid.largest : y;
      y = copysignf(y, x);
      y = y * step.scale;
      break;
    }
    default: {
      const float low = grid.kind == PITH_ROUND_ZERO_POINT ? -step.zero : -grid.levels;
      const float high = grid.kind == PITH_ROUND_ZERO_POINT ? grid.levels - step.zero : grid.levels;
      // Adding a positive zero: the fast way rounds to no negative one.
      y = rintf(x / step.scale) + 0.0f;
      y = y > high ? high : y < low ? low : y;
      y = y * step.scale;
    }
  }
  return y > FLT_MAX ? FLT_MAX : y < -FLT_MAX ? -FLT_MAX : y;
}

}  // namespace

extern "C" {

PITH_CLONES void pith_round_activations(float *x, size_t rows, size_t width, size_t stride,
                                        size_t run, const PithActivationGrid *grid) {
  switch (grid->kind) {
    case PITH_ROUND_SYMMETRIC:
      return round_rows<PITH_ROUND_SYMMETRIC>(x, rows, width, stride, run, *grid);
    case PITH_ROUND_ZERO_POINT:
      return round_rows<PITH_ROUND_ZERO_POINT>(x, rows, width, stride, run, *grid);
    case PITH_ROUND_OFFSET:
      return round_rows<PITH_ROUND_OFFSET>(x, rows, width, stride, run, *grid);
    default: return round_rows<PITH_ROUND_FLOAT>(x, rows, width, stride, run, *grid);
  }
}

void pith_round_activations_reference(float *x, size_t rows, size_t width, size_t stride, size_t run,
                                      const PithActivationGrid *grid) {
  for (size_t row = 0; row < rows; ++row, x += stride) {
    const float whole = row_scale(*grid, x, width);
    for (size_t first = 0; first < width; first += run) {
      const size_t count = run < width - first ? run : width - first;
      const Step step = step_of(*grid, x + first, count, whole);
      for (size_t i = first; i < first + count; ++i) {
        const float still = grid->kind == PITH_ROUND_OFFSET ? step.zero : 0;
        x[i] = step.scale != 0 ? round_plain(x[i], *grid, step) : still;
      }
    }
  }
}

PITH_CLONES void pith_round_columns(float *x, size_t rows, size_t width, size_t stride,
                                    float levels) {
  if (rows == 0) return;
  for (size_t column = 0; column < width; column += kLanes) {
    const size_t count = kLanes < width - column ? kLanes : width - column;
    Lanes low, high, value;
    load_tail(low, x + column, count, 0);
    high = low;
    for (size_t row = 1; row < rows; ++row) {
      load_tail(value, x + row * stride + column, count, 0);
      low = value < low ? value : low;
      high = value > high ? value : high;
    }
    Lanes above = high / levels, below = low / levels;
    const Lanes scale = above - below;
    const auto flat = scale < (Lanes{} + FLT_MIN);
    for (size_t row = 0; row < rows; ++row) {
      load_tail(value, x + row * stride + column, count, 0);
      value = value - low;
      value = value / scale;
      nearest_lanes(value);
      clamp(value, 0, levels);
      value = value * scale;
      value = value + low;
      clamp(value, -FLT_MAX, FLT_MAX);
      value = flat ? low : value;
      store_tail(value, x + row * stride + column, count);
    }
  }
}

void pith_round_columns_reference(float *x, size_t rows, size_t width, size_t stride,
                                  float levels) {
  PithActivationGrid grid = {};
  grid.kind = PITH_ROUND_OFFSET;
  grid.levels = levels;
  for (size_t column = 0; column < width; ++column) {
    Range range = {x[column], x[column]};
    for (size_t row = 1; row < rows; ++row) {
      const float value = x[row * stride + column];
      range.low = value < range.low ? value : range.low;
      range.high = value > range.high ? value : range.high;
    }
    const float above = range.high / levels, below = range.low / levels;
    const Step step = {above - below, range.low};
    for (size_t row = 0; row < rows; ++row) {
      float &value = x[row * stride + column];
      value = step.scale < FLT_MIN ? range.low : round_plain(value, grid, step);
    }
  }
}

}  // extern "C"
