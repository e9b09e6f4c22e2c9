// The product of activations with the rows of a weight, for many rows of activations.
#pragma once

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Floats of scratch that a product needs, whatever its extents.
size_t pith_product_scratch(void);

/// Whether the product is meant for this machine: it has a vector unit with fused products.
int pith_product_suits(void);

/// y[t·y_stride + r] = Σ_c x[t·x_stride + c] · w[r·w_stride + c] for t < x_rows, r < rows; one
/// column or more.
///
/// Each number is one chain of fused multiplications and additions in the order of the columns:
/// the same bits for any number of rows on either side and on every machine that fuses.
void pith_product(
    const float *w, size_t rows, size_t w_stride, size_t columns, const float *x, size_t x_rows,
    size_t x_stride, float *y, size_t y_stride, float *scratch);
void pith_product_reference(
    const float *w, size_t rows, size_t w_stride, size_t columns, const float *x, size_t x_rows,
    size_t x_stride, float *y, size_t y_stride);

#ifdef __cplusplus
}
#endif
