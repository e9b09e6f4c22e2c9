// Rounding of activations, keys and values to the grids of docs/activations.md, in place, and back to
// f32: what a multiplication with quantized inputs would see. Row-major, f32. Each has a plain twin with
// the suffix _reference; both give the same bits.
//
// A run whose scale would not be a normal number (zeros among them) becomes zeros; a run with an
// infinite value becomes NaN, so that it is not hidden.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// How the numbers of a run that share a scale are rounded.
enum {
  /// round(x / s) within -levels … levels, s = amax / levels.
  PITH_ROUND_SYMMETRIC = 0,
  /// (round(x / s) + z, within 0 … levels, - z) · s, s = (max - min) / levels over a range that holds
  /// 0, z = round(-min / s).
  PITH_ROUND_ZERO_POINT = 1,
  /// round((x - min) / s) · s + min, s = (max - min) / levels.
  PITH_ROUND_OFFSET = 2,
  /// The nearest number of a floating-point format, ties to the even mantissa, s = amax / largest.
  PITH_ROUND_FLOAT = 3,
};

/// How a run's scale is kept.
enum {
  PITH_SCALE_F32 = 0,
  /// 2^(floor(log2 amax) - floor(log2 largest)): the shared exponent of the MX formats.
  PITH_SCALE_EXPONENT = 1,
  /// E4M3 steps under one f32 scale a row, amax(row) / (448 · largest): NVFP4 with a scale per row.
  PITH_SCALE_E4M3 = 2,
};

/// A grid of activations.
typedef struct {
  int32_t kind;
  int32_t scale;
  /// Largest code of the integer kinds.
  float levels;
  /// Largest value, mantissa bits and smallest normal number of a floating-point format.
  float largest;
  int32_t mantissa;
  float smallest_normal;
  /// The range is multiplied by this first: what lies outside saturates.
  float clip;
  /// A range known beforehand, in place of every run's own amax; 0: each run's own.
  float maximum;
  /// A step known beforehand, in place of a range divided by the largest number; of PITH_SCALE_E4M3
  /// what a row's scales are multiples of; 0: none.
  float step;
} PithActivationGrid;

/// Rounds rows, `rows × width` at a stride; `run` neighbours share a scale, the last run may be shorter.
void pith_round_activations(float *x, size_t rows, size_t width, size_t stride, size_t run,
                            const PithActivationGrid *grid);
void pith_round_activations_reference(float *x, size_t rows, size_t width, size_t stride, size_t run,
                                      const PithActivationGrid *grid);

/// Rounds every column over all rows with PITH_ROUND_OFFSET, a scale and a minimum per column.
void pith_round_columns(float *x, size_t rows, size_t width, size_t stride, float levels);
void pith_round_columns_reference(float *x, size_t rows, size_t width, size_t stride, float levels);

#ifdef __cplusplus
}
#endif
