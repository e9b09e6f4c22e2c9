// Kernels for pruned weights: the column sweep that chooses and compensates, and survivors spread
// over rows again. Rules as in PithKernels.h; survivors are the same bits on every instruction set.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// MARK: The sweep

/// The most columns of a run.
enum { PITH_PRUNE_COLUMNS = 256 };

/// A run of columns of a tile of rows. Rows are lanes as in PithSweep.h: a column is contiguous,
/// `stride` apart from the next, and `stride` is a multiple of PITH_SWEEP_LANES. The last column
/// is swept first. The same bits on every instruction set.
typedef struct {
  size_t count;   ///< at most PITH_PRUNE_COLUMNS
  size_t stride;  ///< rows of the tile, padded
  const float *targets;  ///< count × stride: what the columns stand for
  const float *factor;   ///< count × count, factor[i · count + j] = L[j][i], L lower triangular
  const float *sums;     ///< count × stride: what columns beyond the run have left behind; or NULL
  uint8_t *kept;         ///< count × stride: 1 = kept; with `of` > 0 chosen here, 0 stays 0
  float *differences;    ///< count × stride, written: target - value
  float *errors;         ///< count × stride, written: (w' - value) · pivot; or NULL
  int32_t keep, of;      ///< at most `keep` of each `of` columns; of = 0: `kept` is given
  int32_t top;           ///< the largest code
  uint8_t *codes;        ///< count × stride, written; NULL: values are not rounded
  const float *scales, *zeros;  ///< grids × stride
  const int32_t *grid_index;    ///< per column its grid
} PithPruneRun;

/// Sweeps a run. Column i stands for w' = targets[i] + (sums[i] + Σ_{j > i} differences[j] ·
/// L[j][i]) / L[i][i]; its value is w' (or the nearest on its grid) where it is kept, 0 elsewhere.
/// Of a pattern those columns of a group go whose errors, each with what it inherits from the ones
/// before, have the least sum of squares; one by one, by (w' · pivot)², in groups of more than 8 and
/// in rows that lost some of the group before. Returns Σ errors².
double pith_prune_sweep(const PithPruneRun *run);
double pith_prune_sweep_reference(const PithPruneRun *run);

/// What the run's columns would stand for if none of them lost anything: w' to `wanted`, and keys
/// that order as (w' · pivot)² does to `keys`, 0 where an entry is dropped already; count × stride
/// each, either may be NULL.
void pith_prune_look(const PithPruneRun *run, float *wanted, uint32_t *keys);
void pith_prune_look_reference(const PithPruneRun *run, float *wanted, uint32_t *keys);

/// The key at `rank` (from 0) if the keys were sorted; how many keys are below it, and how many
/// equal it, to the pointers.
uint32_t pith_select_key(
    const uint32_t *keys, size_t count, size_t rank, size_t *below, size_t *equal);

/// kept[i] = 0 where a key is at most `threshold`.
void pith_drop_keys(const uint32_t *keys, size_t count, uint32_t threshold, uint8_t *kept);

// MARK: Steps of descent on the survivors

/// One step's direction, rows as lanes: gradient ← kept ⊙ gradient · inverse[column] (columns ×
/// stride), and Σ over columns of its square / inverse[column] for each row to `squares`.
void pith_survivor_direction(
    float *gradient, const uint8_t *kept, const float *inverse, size_t columns, size_t stride,
    double *squares);

/// Σ over columns of x² for each row.
void pith_lane_squares(const float *x, size_t columns, size_t stride, double *squares);

/// y ← y + a · x with an a for each row.
void pith_lane_axpy(const float *a, const float *x, float *y, size_t columns, size_t stride);

// MARK: In and out of lanes

/// Rows of a matrix as lanes, the columns reversed: target[p · stride + r] =
/// values[r · columns + columns - 1 - p], zero for rows beyond `rows`.
void pith_reversed_lanes(
    const float *values, size_t rows, size_t columns, size_t stride, float *target);

/// The way back: values[r · columns + c] = target - difference where it is kept, 0 elsewhere, and
/// the row's bits, least significant first, (columns + 7) / 8 bytes a row. Returns Σ difference².
double pith_survivors_from_lanes(
    const float *targets, const float *differences, const uint8_t *kept, size_t rows,
    size_t columns, size_t stride, float *values, uint8_t *bits);
double pith_survivors_from_lanes_reference(
    const float *targets, const float *differences, const uint8_t *kept, size_t rows,
    size_t columns, size_t stride, float *values, uint8_t *bits);

// MARK: Survivors

/// How many bits are set.
size_t pith_count_bits(const uint8_t *bytes, size_t count);

/// target[i] = next survivor where bit i of the row is set, 0 elsewhere; returns how many were
/// taken. Survivors must be readable for 16 elements beyond those taken.
size_t pith_expand_floats(
    const uint8_t *bitmap, const float *survivors, size_t columns, float *target);
size_t pith_expand_floats_reference(
    const uint8_t *bitmap, const float *survivors, size_t columns, float *target);

/// The same for codes, one a byte: (code - zero)·scale of group i / `group`, 0 elsewhere.
size_t pith_expand_codes(
    const uint8_t *bitmap, const uint8_t *codes, size_t columns, size_t group,
    const float *scales, const float *zeros, float *target);
size_t pith_expand_codes_reference(
    const uint8_t *bitmap, const uint8_t *codes, size_t columns, size_t group,
    const float *scales, const float *zeros, float *target);

/// One output of a few rows of inputs: y[r · y_stride] = Σ over survivors of value · x[r · x_stride +
/// its column], in sixteen f32 sums, column i to sum i mod 16, folded by halving; products are not
/// fused with sums, so that the bits are the same on every instruction set. Survivors are read as by pith_expand_floats and pith_expand_codes.
void pith_multiply_survivors(
    const uint8_t *bitmap, const float *survivors, size_t columns, const float *x, size_t rows,
    size_t x_stride, float *y, size_t y_stride);
void pith_multiply_survivors_reference(
    const uint8_t *bitmap, const float *survivors, size_t columns, const float *x, size_t rows,
    size_t x_stride, float *y, size_t y_stride);
void pith_multiply_survivor_codes(
    const uint8_t *bitmap, const uint8_t *codes, size_t columns, size_t group,
    const float *scales, const float *zeros, const float *x, size_t rows, size_t x_stride,
    float *y, size_t y_stride);
void pith_multiply_survivor_codes_reference(
    const uint8_t *bitmap, const uint8_t *codes, size_t columns, size_t group,
    const float *scales, const float *zeros, const float *x, size_t rows, size_t x_stride,
    float *y, size_t y_stride);

/// A row's pattern numbers, `bits` wide, least significant bit first, as a bitmap of groups × of
/// bits: pattern k is `table[k]`, whose bit j is column j of the group; of is 2 to 16.
void pith_expand_patterns(
    const uint8_t *packed, size_t groups, int32_t bits, int32_t of, const uint16_t *table,
    uint8_t *bitmap);

/// Spreads a row whose survivors are told by gaps: a byte below 255 skips so many columns and takes
/// a survivor, 255 skips 255 columns. `target` is zeroed first.
void pith_expand_gaps(
    const uint8_t *gaps, size_t survivors, const float *values, size_t columns, float *target);

/// Σ value·x over such a row, the survivors' sum in order.
float pith_dot_gaps(const uint8_t *gaps, size_t survivors, const float *values, const float *x);

#ifdef __cplusplus
}
#endif
