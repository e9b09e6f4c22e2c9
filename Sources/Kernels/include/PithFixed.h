// Products of f32 matrices through 16-bit fixed point: twice the multiply-adds of f32 a cycle where the
// processor has AVX512_VNNI, exact sums in 32 bits over PITH_FIXED_BLOCK terms at a time.
//
// Both operands are summed over their rows; columns are lanes. Of every block of rows each lane has a
// scale of its own, so that an entry is off by at most half a step of |lane's numbers in the block| /
// 45,000 or |its largest| / 32,767, whichever is coarser: about 2^-13 of their root mean square. No sum of
// a block can leave 32 bits, by Cauchy and Schwarz; partial sums may, and come back. Blocks are added up
// in f32. Each function has a plain twin with the suffix _reference that gives the same bits.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Rows of a block, what lanes are padded to a multiple of, and lanes that lie side by side in a right
/// operand and in a left one.
enum { PITH_FIXED_BLOCK = 128, PITH_FIXED_STRIP = 32, PITH_FIXED_PANEL = 8 };

/// Whether this processor, and the instruction set chosen for this thread, have the products.
int pith_fixed_products_available(void);

/// Blocks and strips that rows and lanes take; the last ones are padded with zeros.
static inline size_t pith_fixed_blocks(size_t rows) {
  return (rows + PITH_FIXED_BLOCK - 1) / PITH_FIXED_BLOCK;
}
static inline size_t pith_fixed_strips(size_t lanes) {
  return (lanes + PITH_FIXED_STRIP - 1) / PITH_FIXED_STRIP;
}

/// Rounds rows × lanes numbers, rows `stride` apart, for the right operand (`side` PITH_FIXED_STRIP) or
/// the left one (PITH_FIXED_PANEL). pairs: blocks × padded lanes / side × PITH_FIXED_BLOCK / 2 × side, a
/// pair two neighbouring rows' numbers in one word, the first in the low half; scales: blocks × padded
/// lanes. A lane that is not finite in a block gets a scale that is not; lanes below f32's normal range
/// count as zero.
void pith_fixed_pack(const float *matrix, size_t stride, size_t rows, size_t lanes, size_t side,
                     uint32_t *pairs, float *scales);
void pith_fixed_pack_reference(const float *matrix, size_t stride, size_t rows, size_t lanes, size_t side,
                               uint32_t *pairs, float *scales);

/// An operand as `pith_fixed_pack` leaves it, or several of as many lanes one after the other.
typedef struct {
  const uint32_t *pairs;
  const float *scales;
  size_t lanes;
} PithFixed;

/// result (left lanes × right lanes, rows `stride` apart) ← leftᵀ · right over `blocks` blocks; the
/// right one's lanes a multiple of PITH_FIXED_STRIP.
void pith_fixed_multiply(PithFixed left, PithFixed right, size_t blocks, float *result, size_t stride);
void pith_fixed_multiply_reference(PithFixed left, PithFixed right, size_t blocks, float *result,
                                   size_t stride);

#ifdef __cplusplus
}
#endif
