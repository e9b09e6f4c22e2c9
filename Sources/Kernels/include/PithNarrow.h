// The product of activations with the rows of an integer grid in 16-bit arithmetic.
//
// Activations become 16-bit integers, each stretch of `chunk` columns of a row under a scale of its
// own (block fixed point); codes less their zero points are integers anyway. A chunk's sum is exact
// in 32 bits, and is scaled and added in f32: twice the multiply-adds of f32 a cycle, for an error
// of an activation of at most 2⁻¹⁶ of its chunk's largest.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "PithKernels.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Whether products in 16 bits are faster than pith_product on this machine, and give the twins'
/// bits.
int pith_narrow_suits(void);

/// Rounds rows of activations to the nearest, ties to even: to[t·columns + c] times
/// scales[t·(columns / chunk) + c / chunk], which is a chunk's largest magnitude / 32767. Columns are a
/// multiple of the chunk. A chunk below 2⁻¹¹⁰ becomes zeros; one that is not finite has a scale that
/// is not a number.
void pith_narrow_rows(
    const float *x, size_t rows, size_t x_stride, size_t columns, size_t chunk, int16_t *to,
    float *scales);
void pith_narrow_rows_reference(
    const float *x, size_t rows, size_t x_stride, size_t columns, size_t chunk, int16_t *to,
    float *scales);

/// The codes of a piece less their zero points, packed as pith_decode_panels packs numbers, but two
/// columns in one word, the first in the low half. Then the scales of each of `count` weights that
/// hold these codes and zero points: scales + i·stride has those of weight i, a panel's width for each
/// chunk of each panel. The first column and the columns are multiples of the chunk, which is even and
/// divides the group.
void pith_narrow_panels(
    const PithIntegerRows *weights, size_t count, size_t first_row, size_t rows,
    size_t first_column, size_t columns, size_t chunk, int32_t *panels, float *scales,
    size_t stride);
void pith_narrow_panels_reference(
    const PithIntegerRows *weights, size_t count, size_t first_row, size_t rows,
    size_t first_column, size_t columns, size_t chunk, int32_t *panels, float *scales,
    size_t stride, size_t panel_width);

/// Rounded activations of a piece's columns: number c of row t lies at values + t·stride + c, the
/// scale of its chunk k at scales + t·scales_stride + k.
typedef struct {
  const int16_t *values;
  const float *scales;
  size_t rows, stride, scales_stride;
} PithNarrowRows;

/// The product with a packed piece: y[t·y_stride + r] (+)= Σ_k (Σ_c x·code) · scale_k · x_scale_k, the
/// chunks in order, each added by a fused multiplication. With `adds` the sum goes on from what is in
/// y. The same bits for any number of rows on either side. At most 64 columns a chunk.
void pith_narrow_product(
    const int32_t *panels, const float *scales, size_t rows, size_t columns, size_t chunk,
    PithNarrowRows x, float *y, size_t y_stride, int adds);
void pith_narrow_product_reference(
    const int32_t *panels, const float *scales, size_t rows, size_t columns, size_t chunk,
    PithNarrowRows x, float *y, size_t y_stride, int adds, size_t panel_width);

#ifdef __cplusplus
}
#endif
