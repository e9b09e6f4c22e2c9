// The plain twin of product.cc.
#include <math.h>

#include "include/PithProduct.h"

extern "C" void pith_product_reference(
    const float *w, size_t rows, size_t w_stride, size_t columns, const float *x, size_t x_rows,
    size_t x_stride, float *y, size_t y_stride) {
  for (size_t t = 0; t < x_rows; ++t) {
    for (size_t r = 0; r < rows; ++r) {
      float sum = 0;
      for (size_t c = 0; c < columns; ++c) {
        sum = fmaf(x[t * x_stride + c], w[r * w_stride + c], sum);
      }
      y[t * y_stride + r] = sum;
    }
  }
}

extern "C" void pith_decode_panels_reference(
    const PithIntegerRows *weights, size_t count, size_t first_row, size_t rows,
    size_t first_column, size_t columns, float *panels, size_t stride, size_t panel_width) {
  for (size_t i = 0; i < count; ++i) {
    for (size_t r = 0; r < (rows + panel_width - 1) / panel_width * panel_width; ++r) {
      for (size_t c = 0; c < columns; ++c) {
        float value = 0;
        if (r < rows) {
          pith_decode_integer_reference(
              &weights[i], first_row + r, 1, first_column + c, 1, &value, 1);
        }
        panels[i * stride + r / panel_width * panel_width * columns + c * panel_width +
               r % panel_width] = value;
      }
    }
  }
}
