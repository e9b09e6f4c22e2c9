// The plain twins of narrow.cc and narrow_panels.cc.
#include <math.h>

#include "include/PithNarrow.h"
#include "integer_grid.h"
#include "stored_codes.h"

#pragma clang fp contract(off)

extern "C" {

void pith_narrow_rows_reference(
    const float *x, size_t rows, size_t x_stride, size_t columns, size_t chunk, int16_t *to,
    float *scales) {
  for (size_t t = 0; t < rows; ++t) {
    for (size_t first = 0; first < columns; first += chunk) {
      const float *from = x + t * x_stride + first;
      int16_t *rounded = to + t * columns + first;
      float most = 0;
      bool finite = true;
      for (size_t c = 0; c < chunk; ++c) {
        finite = finite && isfinite(from[c]);
        most = fmaxf(most, fabsf(from[c]));
      }
      const bool counts = finite && most >= 0x1p-110f;
      for (size_t c = 0; c < chunk; ++c) {
        rounded[c] = counts ? (int16_t)rintf(from[c] * (32767.0f / most)) : 0;
      }
      *scales++ = counts ? most / 32767.0f : finite ? 0.0f : NAN;
    }
  }
}

void pith_narrow_panels_reference(
    const PithIntegerRows *weights, size_t count, size_t first_row, size_t rows,
    size_t first_column, size_t columns, size_t chunk, int32_t *panels, float *scales,
    size_t stride, size_t panel_width) {
  const size_t chunks = columns / chunk;
  for (size_t r = 0; r < (rows + panel_width - 1) / panel_width * panel_width; ++r) {
    const size_t panel = r / panel_width * panel_width, lane = r % panel_width;
    const size_t row = first_row + r;
    for (size_t c = 0; c < columns; c += 2) {
      int32_t pair = 0;
      if (r < rows) {
        const size_t column = first_column + c;
        const int zero = pith::ZeroPointAt(weights[0], row, column / weights[0].group);
        const int first = pith::CodeAt(weights[0], row, column) - zero;
        const int second = pith::CodeAt(weights[0], row, column + 1) - zero;
        pair = (int32_t)((uint32_t)(first & 0xFFFF) | (uint32_t)second << 16);
      }
      panels[panel * columns / 2 + c / 2 * panel_width + lane] = pair;
    }
    for (size_t i = 0; i < count; ++i) {
      for (size_t k = 0; k < chunks; ++k) {
        const size_t group = (first_column + k * chunk) / weights[i].group;
        scales[i * stride + panel * chunks + k * panel_width + lane] =
            r < rows ? pith::LoadScale(
                           weights[i].scales, weights[i].scale_type,
                           row * weights[i].scales_stride + group)
                     : 0;
      }
    }
  }
}

void pith_narrow_product_reference(
    const int32_t *panels, const float *scales, size_t rows, size_t columns, size_t chunk,
    PithNarrowRows x, float *y, size_t y_stride, int adds, size_t panel_width) {
  const size_t chunks = columns / chunk;
  for (size_t t = 0; t < x.rows; ++t) {
    for (size_t r = 0; r < rows; ++r) {
      const size_t panel = r / panel_width * panel_width, lane = r % panel_width;
      float *to = y + t * y_stride + r;
      float total = adds ? *to : 0;
      for (size_t k = 0; k < chunks; ++k) {
        int32_t sum = 0;
        for (size_t c = k * chunk; c < (k + 1) * chunk; c += 2) {
          const int32_t both = panels[panel * columns / 2 + c / 2 * panel_width + lane];
          sum += x.values[t * x.stride + c] * (int16_t)both;
          sum += x.values[t * x.stride + c + 1] * (both >> 16);
        }
        const float scale = scales[panel * chunks + k * panel_width + lane];
        total = fmaf((float)sum * scale, x.scales[t * x.scales_stride + k], total);
      }
      *to = total;
    }
  }
}
}
