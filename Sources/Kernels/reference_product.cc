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
