#include <math.h>

#include "forward_vector.h"
#include "include/PithForward.h"

using namespace pith;

namespace {

// Sums over a row in sixteen lanes, the tail added to the lanes as zeros.
PITH_INLINE float row_sum(const float *x, size_t width) {
  Lanes total = {}, value;
  size_t i = 0;
  for (; i + kLanes <= width; i += kLanes) {
    load(value, x + i);
    total += value;
  }
  if (i < width) {
    load_tail(value, x + i, width - i, 0);
    total += value;
  }
  return sum(total);
}

PITH_INLINE float row_square_sum(const float *x, size_t width, float mean) {
  Lanes total = {}, value;
  size_t i = 0;
  for (; i + kLanes <= width; i += kLanes) {
    load(value, x + i);
    value -= mean;
    total += value * value;
  }
  if (i < width) {
    load_tail(value, x + i, width - i, mean);
    value -= mean;
    total += value * value;
  }
  return sum(total);
}

}  // namespace

extern "C" {

PITH_CLONES void pith_rms_norm(const float *x, const float *weight, float *y, size_t rows,
                               size_t width, float epsilon) {
  for (size_t row = 0; row < rows; ++row, x += width, y += width) {
    const float scale = 1.0f / sqrtf(row_square_sum(x, width, 0) / (float)width + epsilon);
    for (size_t i = 0; i < width; ++i) y[i] = x[i] * scale * weight[i];
  }
}

void pith_rms_norm_reference(const float *x, const float *weight, float *y, size_t rows,
                             size_t width, float epsilon) {
  for (size_t row = 0; row < rows; ++row, x += width, y += width) {
    double squares = 0;
    for (size_t i = 0; i < width; ++i) squares += (double)x[i] * x[i];
    const double scale = 1 / sqrt(squares / (double)width + epsilon);
    for (size_t i = 0; i < width; ++i) y[i] = (float)(x[i] * scale * weight[i]);
  }
}

PITH_CLONES void pith_layer_norm(const float *x, const float *weight, const float *bias, float *y,
                                 size_t rows, size_t width, float epsilon) {
  for (size_t row = 0; row < rows; ++row, x += width, y += width) {
    const float mean = row_sum(x, width) / (float)width;
    const float scale = 1.0f / sqrtf(row_square_sum(x, width, mean) / (float)width + epsilon);
    if (bias) {
      for (size_t i = 0; i < width; ++i) y[i] = (x[i] - mean) * scale * weight[i] + bias[i];
    } else {
      for (size_t i = 0; i < width; ++i) y[i] = (x[i] - mean) * scale * weight[i];
    }
  }
}

void pith_layer_norm_reference(const float *x, const float *weight, const float *bias, float *y,
                               size_t rows, size_t width, float epsilon) {
  for (size_t row = 0; row < rows; ++row, x += width, y += width) {
    double mean = 0, squares = 0;
    for (size_t i = 0; i < width; ++i) mean += x[i];
    mean /= (double)width;
    for (size_t i = 0; i < width; ++i) squares += (x[i] - mean) * (x[i] - mean);
    const double scale = 1 / sqrt(squares / (double)width + epsilon);
    for (size_t i = 0; i < width; ++i)
      y[i] = (float)((x[i] - mean) * scale * weight[i] + (bias ? bias[i] : 0));
  }
}

PITH_CLONES void pith_add(float *x, const float *y, size_t count) {
  for (size_t i = 0; i < count; ++i) x[i] += y[i];
}

PITH_CLONES void pith_add_bias(float *x, const float *bias, size_t rows, size_t width) {
  for (size_t row = 0; row < rows; ++row, x += width)
    for (size_t i = 0; i < width; ++i) x[i] += bias[i];
}

}  // extern "C"
