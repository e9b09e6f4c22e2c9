// Kernels for pruned weights: the column sweep that chooses and compensates, and survivors spread
// over rows again. Rules as in PithKernels.h; these give the same bits on every instruction set.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// MARK: The sweep

/// Some rows of one block of columns. `width` is a multiple of 16; columns beyond the block's own
/// are zero in `values` and `factor`.
typedef struct {
  float *values;        ///< rows × width: weights as updated so far; results where it swept
  float *errors;        ///< rows × width: (w - q) / pivot, written where it swept
  uint8_t *kept;        ///< rows × width: 1 = kept; with `of` > 0 chosen here, 0 stays 0
  const float *factor;  ///< width × width: U's diagonal block, upper triangular
  size_t rows, width;
  int32_t keep, of;     ///< at most `keep` of each `of` columns; of = 0: `kept` is given
  uint8_t *codes;       ///< rows × width, written where it swept; NULL: values are not rounded
  const float *scales, *zeros;  ///< rows × grid_stride
  size_t grid_stride;
  size_t group, column;  ///< block column i lies on grid (column + i) / group
  float top;             ///< the largest code
} PithSweepTile;

/// Sweeps columns first..<last of a block: each dropped (or rounded) entry's loss is taken off the
/// later columns of its row, to the block's end. Patterns begin at `first`. Returns the sum of the
/// squared errors.
double pith_sparse_sweep(const PithSweepTile *tile, size_t first, size_t last);
double pith_sparse_sweep_reference(const PithSweepTile *tile, size_t first, size_t last);

/// Marks in `kept` which entries of columns first..<last a pattern would keep now, as the sweep
/// does it from weights that are not updated any further.
void pith_choose_patterns(const PithSweepTile *tile, size_t first, size_t last);

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
