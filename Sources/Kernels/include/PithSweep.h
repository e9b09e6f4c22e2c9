// The column loops of calibrated quantization: GPTQ's sweep and coordinate descent over codes.
//
// Rows of the weight are lanes: a column of a tile of rows is contiguous, `stride` apart from the
// next. `stride` is a multiple of PITH_SWEEP_LANES, and all of it is computed: rows beyond the
// weight's own hold zeros and scales of 1. The plain twins are Swift (Quantization, `ColumnRun`);
// sums fuse multiplications, so near ties may fall differently there.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Rows that are computed together.
enum { PITH_SWEEP_LANES = 32 };

/// The most columns that one call takes.
enum { PITH_SWEEP_COLUMNS = 128 };

/// Partial choices that the beam keeps of every row.
enum { PITH_BEAM_WIDTH = 8 };

/// Some columns of a tile of rows, and the grid of each.
typedef struct {
  size_t count;   ///< columns, at most PITH_SWEEP_COLUMNS
  size_t stride;  ///< rows of the tile, padded
  int32_t top;    ///< the largest code
  /// count × stride: what the columns stand for.
  const float *targets;
  /// Per column the place of its codes (× stride in `codes`) and of its grid (× stride in
  /// `scales` and `zeros`).
  const int32_t *code_index, *grid_index;
  uint8_t *codes;
  const float *scales, *zeros;
  /// count × stride, 1 where an entry counts, 0 where it stays zero; or NULL.
  const float *kept;
} PithColumns;

/// What a sweep over columns cost: sums over lanes in f64.
typedef struct {
  double loss;           ///< Σ ((w' - q) · pivot)²
  double squared_error;  ///< Σ (w - q)²
} PithSweepSums;

/// GPTQ over the columns, the last one first. With L lower triangular, column i stands for
/// w' = targets[i] + (sums[i] + Σ_{j > i} differences[j] · L[j][i]) / L[i][i]; its code is the
/// nearest to w', and differences[i] = targets[i] - value(code).
///
/// - factor: count × count, factor[i · count + j] = L[j][i].
/// - sums: count × stride, what columns beyond the run have left behind; NULL for none.
/// - lane_loss: stride numbers, the loss of each row, written; or NULL.
PithSweepSums pith_sweep_integer(
    const PithColumns *columns, const float *factor, const float *sums, float *differences,
    float *lane_loss);

/// Coordinate descent: each column in turn takes the code that is best with the others as they
/// are, `passes` times over the run. differences = targets - values; gradients = differences · H,
/// both of the run's columns, count × stride, and kept true. gram: count × count of H.
/// Returns how many codes changed.
uint64_t pith_descend_integer(
    const PithColumns *columns, const float *gram, float *gradients, float *differences,
    int32_t passes);

/// The codes of the columns chosen together, for the first `rows` rows: column by column the
/// PITH_BEAM_WIDTH best partial choices, each followed by its nearest code and the next one.
///
/// With δ = targets - values(codes), `targets` being what the columns stand for now, the loss of a
/// row is Σ_j (residuals[j] + Σ_{i ≤ j} δ_i · factor[i][j])², and where kept is 0 δ is 0.
///
/// - factor: count × count, factor[i · count + j] for i ≤ j; a positive diagonal.
/// - residuals: count × stride.
/// - gains: per row the loss of δ = 0 less that of the codes written, 0 where nothing is gained.
void pith_beam_integer(
    const PithColumns *columns, size_t rows, const float *factor, const float *residuals,
    float *gains);

#ifdef __cplusplus
}
#endif
