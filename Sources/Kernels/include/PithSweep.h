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
/// - residuals: count × stride, (w' - code's value) · L[i][i], written; may be the targets; or NULL.
/// - lane_loss: stride numbers, the loss of each row, written; or NULL.
PithSweepSums pith_sweep_integer(
    const PithColumns *columns, const float *factor, const float *sums, float *differences,
    float *residuals, float *lane_loss);

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

/// `columns` (a multiple of 16) lines of 16 bytes, `stride` apart, as 16 lines of `columns`, `pitch`
/// apart.
void pith_turn_bytes(const uint8_t *source, size_t stride, size_t columns, uint8_t *target,
                     size_t pitch);

/// A square of 16 lines of 16 numbers turned about; lines are `stride` and `pitch` apart.
void pith_turn_floats(const float *source, ptrdiff_t stride, float *target, ptrdiff_t pitch);

/// Columns of the factor that lie side by side for `pith_refit_terms`, and rows that go together:
/// the factor comes from far, and is read once for all of them.
enum { PITH_REFIT_PANEL = 8, PITH_REFIT_LANES = 128 };

/// A tile of rows after its sweep, for the least squares of its scales.
typedef struct {
  size_t groups;   ///< inputs share a scale in groups,
  size_t members;  ///< this many in each
  size_t stride;   ///< rows of the tile, padded
  float damping;   ///< what was added to the diagonal of H before it was factored
  /// Group after group its inputs, the last position first: the place of each one's codes, and
  /// its position in the factor.
  const int32_t *columns, *positions;
  /// Of `pith_refit_pack`, all panels; per panel and group how many members reach into it.
  const float *factor;
  const int32_t *counts;
  /// Instead of `factor` what `pith_refit_pack_fixed` gives, all panels; or NULL.
  const uint32_t *fixed;
  const float *fixed_scales;
  const uint8_t *codes;  ///< inputs × stride
  const float *zeros;    ///< groups × stride
  /// positions × stride: w - q, and (w' - q) · pivot, the rows of (w - q) · R.
  const float *differences, *residuals;
} PithRefit;

/// Groups as `pith_refit_terms` counts them, with the right side.
static inline size_t pith_refit_padded(size_t groups) { return (groups + 4) / 4 * 4; }

/// Some panels of a factor L (width × width, lower), from panel `first` on: PITH_REFIT_PANEL
/// columns of those rows of each group that reach into them, one after the other. positions: as in
/// `PithRefit`; counts and packed: where these panels' own begin.
void pith_refit_pack(const float *factor, size_t width, const int32_t *positions, size_t members,
                     size_t first, size_t count, const int32_t *counts, float *packed);

/// The same in 16-bit fixed point, a scale for every column of a group's part of a panel: pairs of two
/// rows in one word, the first in the low half, ⌈rows / 2⌉ × PITH_REFIT_PANEL of them, and
/// PITH_REFIT_PANEL scales a group. Its products with steps of at most `top` are exact in 32 bits; a number is off by
/// at most half of its column's largest / 32,767, or of what keeps many members within 32 bits.
void pith_refit_pack_fixed(const float *factor, size_t width, const int32_t *positions, size_t members,
                           size_t first, size_t count, const int32_t *counts, int32_t top,
                           uint32_t *pairs, float *scales);

/// Products of one group's part of a panel, `pairs` pairs of rows, with as many pairs of steps of
/// PITH_SWEEP_LANES rows of the weight: PITH_REFIT_PANEL × PITH_SWEEP_LANES. Quick where
/// `pith_fixed_products_available` (PithFixed.h) says so; the twin gives the same bits.
void pith_refit_product_fixed(const uint32_t *factor, const float *scales, const uint32_t *steps,
                              size_t pairs, float *result);
void pith_refit_product_fixed_reference(const uint32_t *factor, const float *scales,
                                        const uint32_t *steps, size_t pairs, float *result);

/// Numbers of f32 that the steps of a chunk take in the scratch.
static inline size_t pith_refit_steps(size_t groups, size_t members, int is_fixed) {
  return is_fixed ? groups * ((members + 1) / 2) * PITH_SWEEP_LANES
                  : groups * members * PITH_SWEEP_LANES / 4;
}

/// The normal equations of the scales of `chunks` times PITH_SWEEP_LANES rows, at most
/// PITH_REFIT_LANES, from row `row` of the tile on. With v_g the steps (code - zero) of a group and
/// Y_g = v_g · R, H + damping = R · Rᵀ: left[g][h] = Y_g · Y_h - damping · v_g · v_h for g ≤ h, and
/// right[g] = Y_g · residuals - damping · v_g · differences.
///
/// - scratch: on a border of 64 bytes, as `left` should be: lines of the cache that are read in two halves cost a
///   fifth of the time. Per chunk `pith_refit_steps` and 16 · padded groups · PITH_SWEEP_LANES numbers.
/// - left: per chunk padded × padded × PITH_SWEEP_LANES; more is written than what is named above.
/// - right: per chunk groups × PITH_SWEEP_LANES.
void pith_refit_terms(const PithRefit *job, size_t row, size_t chunks, float *scratch, float *left,
                      float *right);

#ifdef __cplusplus
}
#endif
