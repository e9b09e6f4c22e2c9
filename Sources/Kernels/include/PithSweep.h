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

/// Columns of the factor that lie side by side for `pith_refit_terms`, rows that go together (the factor
/// comes from far, and is read once for all of them), and the most members of a group whose sums of bytes
/// stay exact.
enum { PITH_REFIT_PANEL = 8, PITH_REFIT_LANES = 128, PITH_REFIT_MEMBERS = 32768 };

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
  /// Instead of `factor` what `pith_refit_pack_bytes` gives, all panels; or NULL.
  const uint32_t *quads;
  const float *quad_scales;
  const uint32_t *quad_sums;
  const uint8_t *codes;  ///< inputs × stride
  const float *zeros;    ///< groups × stride, whole numbers up to 255
  /// positions × stride: w - q, and (w' - q) · pivot, the rows of (w - q) · R.
  const float *differences, *residuals;
} PithRefit;

/// Groups as `pith_refit_terms` counts them.
static inline size_t pith_refit_padded(size_t groups) { return (groups + 3) / 4 * 4; }

/// Some panels of a factor L (width × width, lower), from panel `first` on: PITH_REFIT_PANEL
/// columns of those rows of each group that reach into them, one after the other. positions: as in
/// `PithRefit`; counts and packed: where these panels' own begin.
void pith_refit_pack(const float *factor, size_t width, const int32_t *positions, size_t members,
                     size_t first, size_t count, const int32_t *counts, float *packed);

/// The same in signed bytes of a 127th of the largest number of each column of a group's part of a panel:
/// four rows in one word, the first lowest, ⌈rows / 4⌉ × PITH_REFIT_PANEL of them; and of every group
/// PITH_REFIT_PANEL scales and as many sums of bytes, minus Σ = 128 · high + low, high in the upper half
/// and low, 0 … 127, in the lower. The twin gives the same bits.
void pith_refit_pack_bytes(const float *factor, size_t width, const int32_t *positions, size_t members,
                           size_t first, size_t count, const int32_t *counts, uint32_t *quads,
                           float *scales, uint32_t *sums);
void pith_refit_pack_bytes_reference(const float *factor, size_t width, const int32_t *positions,
                                     size_t members, size_t first, size_t count, const int32_t *counts,
                                     uint32_t *quads, float *scales, uint32_t *sums);

/// Where products of one group's part of a panel come from: of the factor `quads` × PITH_REFIT_PANEL words
/// and the scales and sums of `pith_refit_pack_bytes`; of PITH_SWEEP_LANES rows of the weight a word of
/// zero point + (128 · zero point << 16) each, then `quads` × PITH_SWEEP_LANES words of four codes.
typedef struct {
  const uint32_t *factor;
  const float *scales;
  const uint32_t *sums;
  const uint32_t *codes;
  size_t quads;
} PithRefitBytes;

/// Products of codes less zero points with a group's part of a panel, exact but for the factor's own
/// rounding: PITH_REFIT_PANEL × 16 numbers for the first 16 rows, and `step` numbers further those of the
/// others. Quick where `pith_fixed_products_available` (PithFixed.h) says so; the twin gives the same bits.
void pith_refit_product_bytes(PithRefitBytes from, float *result, size_t step);
void pith_refit_product_bytes_reference(PithRefitBytes from, float *result, size_t step);

/// The same rounded to bf16, two neighbouring columns in one word, the first in the low half:
/// PITH_REFIT_PANEL / 2 × 16 words. Quick where `pith_bf16_products_available` (PithProducts.h) too.
void pith_refit_product_pairs(PithRefitBytes from, uint32_t *result, size_t step);
void pith_refit_product_pairs_reference(PithRefitBytes from, uint32_t *result, size_t step);

/// Pairs of columns that are summed before sums meet memory.
enum { PITH_REFIT_PAIRS = 16 };

/// left[i · padded + j] += Σ first_i · second_j over PITH_REFIT_PAIRS pairs of columns for four groups by
/// four, each line PITH_REFIT_PAIRS × 16 words, 16 rows of the weight beside each other; sums lie
/// PITH_SWEEP_LANES apart. With residuals, one more line, `second` is `first`: of the square only j ≥ i,
/// and right[i] += Σ first_i · residuals. The twin adds a pair's terms in another order.
void pith_refit_outer_pairs(const uint32_t *first, const uint32_t *second, const uint32_t *residuals,
                            size_t padded, float *left, float *right);
void pith_refit_outer_pairs_reference(const uint32_t *first, const uint32_t *second,
                                      const uint32_t *residuals, size_t padded, float *left,
                                      float *right);

/// Words of the steps of a group of a chunk in the scratch.
static inline size_t pith_refit_steps(size_t members) {
  return ((members + 3) / 4 + 1) * PITH_SWEEP_LANES;
}

/// Numbers of scratch that `pith_refit_terms` needs for some chunks.
static inline size_t pith_refit_scratch(size_t groups, size_t members, size_t chunks) {
  return chunks * groups * pith_refit_steps(members) +
         (pith_refit_padded(groups) + 1) * PITH_REFIT_PAIRS * PITH_SWEEP_LANES;
}

/// The normal equations of the scales of `chunks` times PITH_SWEEP_LANES rows, at most
/// PITH_REFIT_LANES, from row `row` of the tile on. With v_g the steps (code - zero) of a group and
/// Y_g = v_g · R, H + damping = R · Rᵀ: left[g][h] = Y_g · Y_h - damping · v_g · v_h for g ≤ h, and
/// right[g] = Y_g · residuals - damping · v_g · differences.
///
/// - scratch: on a border of 64 bytes, as `left` should be: lines of the cache that are read in two halves cost a
///   fifth of the time. `pith_refit_scratch` numbers.
/// - left: per chunk padded × padded × PITH_SWEEP_LANES; more is written than what is named above.
/// - right: per chunk padded × PITH_SWEEP_LANES.
void pith_refit_terms(const PithRefit *job, size_t row, size_t chunks, float *scratch, float *left,
                      float *right);

/// The equations of PITH_SWEEP_LANES rows as `pith_refit_terms` gives them, and their scales.
typedef struct {
  size_t groups;
  const float *left, *right;
  const float *scales;  ///< groups, `stride` numbers apart
  size_t stride;
  int32_t scale_type, bits;  ///< how scales are stored (`pith_stored_scale`)
} PithRefitSystems;

/// Numbers of f64 that `pith_refit_solve` needs.
static inline size_t pith_refit_solve_scratch(size_t groups) { return 8 * groups * (groups + 4); }

/// The best stored scales that are found for each row, result rows × groups, and what they change its error
/// by, at most 0: Cholesky's solution rounded, then three passes of single steps. The plain twin is Swift
/// (Quantization, `ScaleSystem`).
void pith_refit_solve(const PithRefitSystems *from, double *scratch, float *result, double *gains);

#ifdef __cplusplus
}
#endif
