// The product of activations with the rows of a weight, for many rows of activations.
#pragma once

#include <stddef.h>

#include "PithKernels.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Floats of scratch that a product needs, whatever its extents.
size_t pith_product_scratch(void);

/// The most rows and columns of a weight that are packed at a time, and a number of rows that
/// divides into whole panels on every instruction set.
size_t pith_packed_rows(void);
size_t pith_packed_columns(void);
size_t pith_panel_rows(void);

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

/// Packs a piece of a weight, at most `pith_packed_rows` × `pith_packed_columns`, for
/// `pith_product_packed`; whole panels are written, zeros beyond `rows`.
void pith_product_pack(
    const float *w, size_t rows, size_t w_stride, size_t columns, float *panels);

/// The product with a packed piece; with `adds` the chain goes on from what is in y.
void pith_product_packed(
    const float *panels, size_t rows, size_t columns, const float *x, size_t x_rows,
    size_t x_stride, float *y, size_t y_stride, int adds);

/// Packs the same piece of several weights that hold the same codes (and bits, group and columns),
/// each under its own scales and zero points: weight i's panels begin at panels + i·stride. The
/// first column is a multiple of 8. Codes are unpacked once.
///
/// The numbers are those of pith_decode_integer, bit for bit.
void pith_decode_panels(
    const PithIntegerRows *weights, size_t count, size_t first_row, size_t rows,
    size_t first_column, size_t columns, float *panels, size_t stride);

void pith_decode_panels_reference(
    const PithIntegerRows *weights, size_t count, size_t first_row, size_t rows,
    size_t first_column, size_t columns, float *panels, size_t stride, size_t panel_width);

/// Rows of a panel on the instruction set of this thread: number c of row r lies at
/// (r / width)·width·columns + c·width + r % width.
size_t pith_panel_width(void);

#ifdef __cplusplus
}
#endif
