// Products of an f32 matrix with thin blocks, through bf16 pairs: twice the multiply-adds of f32 a cycle
// where the processor has AVX512_BF16. For steps that only have to find a subspace: every factor is
// rounded to 8 bits first, sums are f32.
//
// A pair is two neighbours along the summed index in one 32-bit word, the first in the low half; an odd
// end is padded with zero. Each function has a plain twin with the suffix _reference: conversions give
// the same bits, products differ by the order in which a pair's two terms are added.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Columns of a panel of `pith_bf16_pack`, rows of one of `PithPairs`, and what the width of a packed
/// block is a multiple of.
enum { PITH_PAIR_PANEL = 16 };

/// Whether this processor, and the instruction set chosen for this thread, have the products.
int pith_bf16_products_available(void);

/// A matrix in both ways that products need, read once: its rows as they lie, rows × ⌈columns / 2⌉ pairs,
/// and its columns in panels of 16, ⌈columns / 16⌉ × ⌈rows / 2⌉ × 16 pairs of rows, padded with zeros.
/// Returns the sum of its squares to f32's accuracy: not finite where an entry is not, or where a
/// square leaves f32's range.
double pith_bf16_pack(const float *matrix, size_t rows, size_t columns, uint32_t *lying,
                      uint32_t *panels);
double pith_bf16_pack_reference(const float *matrix, size_t rows, size_t columns, uint32_t *lying,
                                uint32_t *panels);

/// A thin block, rows × columns: ⌈rows / 2⌉ × width pairs of rows; width a multiple of 16, at least
/// `columns`, padded with zeros.
void pith_bf16_block(const float *block, size_t rows, size_t columns, size_t width, uint32_t *pairs);
void pith_bf16_block_reference(const float *block, size_t rows, size_t columns, size_t width,
                               uint32_t *pairs);

/// The left operand of a product: pair k of row r lies at
/// (r / 16) · panel_step + (r % 16) · row_step + k · pair_step.
typedef struct {
  const uint32_t *pairs;
  size_t panel_step;
  size_t row_step;
  size_t pair_step;
} PithPairs;

/// result (rows first … first + count of `left`, each `columns` long, `stride` apart) ← left · block over
/// `depth` pairs; `first` a multiple of 16. The same bits however the rows are shared out over calls.
void pith_bf16_multiply(PithPairs left, size_t first, size_t count, size_t depth, const uint32_t *block,
                        size_t width, size_t columns, float *result, size_t stride);
void pith_bf16_multiply_reference(PithPairs left, size_t first, size_t count, size_t depth,
                                  const uint32_t *block, size_t width, size_t columns, float *result,
                                  size_t stride);

#ifdef __cplusplus
}
#endif
