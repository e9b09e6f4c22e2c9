#include <math.h>

#include "forward_vector.h"
#include "include/PithForward.h"

using namespace pith;

namespace {

PITH_INLINE void allowed(size_t row, size_t columns, int causal, size_t offset, size_t window,
                         size_t &first, size_t &last) {
  last = columns;
  if (causal && offset + row + 1 < columns) last = offset + row + 1;
  const size_t reach = causal ? offset + row + 1 : columns;
  first = window && reach > window ? reach - window : 0;
}

PITH_INLINE float largest_scaled(const float *x, size_t count, float scale) {
  Lanes best = Lanes{} - INFINITY, value;
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    load(value, x + i);
    raise_to(best, value);
  }
  if (i < count) {
    load_tail(value, x + i, count - i, -INFINITY);
    raise_to(best, value);
  }
  return maximum(best) * scale;
}

}  // namespace

extern "C" {

PITH_CLONES void pith_rotary(float *x, size_t rows, size_t heads, size_t dimension,
                             const int32_t *position, const float *cosines, const float *sines) {
  const size_t half = dimension / 2;
  for (size_t row = 0; row < rows; ++row) {
    const float *cosine = cosines + (size_t)position[row] * half;
    const float *sine = sines + (size_t)position[row] * half;
    for (size_t head = 0; head < heads; ++head, x += dimension) {
      float *__restrict low = x;
      float *__restrict high = x + half;
      for (size_t i = 0; i < half; ++i) {
        const float a = low[i], b = high[i];
        low[i] = a * cosine[i] - b * sine[i];
        high[i] = b * cosine[i] + a * sine[i];
      }
    }
  }
}

void pith_rotary_reference(float *x, size_t rows, size_t heads, size_t dimension,
                           const int32_t *position, const float *cosines, const float *sines) {
  const size_t half = dimension / 2;
  for (size_t row = 0; row < rows; ++row)
    for (size_t head = 0; head < heads; ++head)
      for (size_t i = 0; i < half; ++i) {
        float *pair = x + (row * heads + head) * dimension + i;
        const double c = cosines[(size_t)position[row] * half + i];
        const double s = sines[(size_t)position[row] * half + i];
        const double a = pair[0], b = pair[half];
        pair[0] = (float)(a * c - b * s);
        pair[half] = (float)(b * c + a * s);
      }
}

PITH_CLONES void pith_masked_softmax(float *scores, size_t rows, size_t columns, size_t stride,
                                     int causal, size_t offset, size_t window, float scale) {
  for (size_t row = 0; row < rows; ++row) {
    size_t first, last;
    allowed(row, columns, causal, offset, window, first, last);
    float *line = scores + row * stride;
    float *x = line + first;
    const size_t count = last - first;
    const float shift = largest_scaled(x, count, scale);
    Lanes total = {}, value;
    size_t i = 0;
    for (; i + kLanes <= count; i += kLanes) {
      load(value, x + i);
      value = value * scale - shift;
      exponential(value);
      total += value;
      store(value, x + i);
    }
    if (i < count) {
      load_tail(value, x + i, count - i, -INFINITY);
      value = value * scale - shift;
      exponential(value);
      total += value;
      store_tail(value, x + i, count - i);
    }
    const float inverse = 1.0f / sum(total);
    for (i = 0; i < count; ++i) x[i] *= inverse;
    if (first) memset(line, 0, first * sizeof(float));
    if (last < columns) memset(line + last, 0, (columns - last) * sizeof(float));
  }
}

void pith_masked_softmax_reference(float *scores, size_t rows, size_t columns, size_t stride,
                                   int causal, size_t offset, size_t window, float scale) {
  for (size_t row = 0; row < rows; ++row) {
    float *line = scores + row * stride;
    const size_t position = offset + row;
    double best = -INFINITY, total = 0;
    for (int pass = 0; pass < 3; ++pass)
      for (size_t j = 0; j < columns; ++j) {
        const int hidden = causal && (j > position || (window && j + window <= position));
        const double x = (double)line[j] * scale;
        if (pass == 0 && !hidden && x > best) best = x;
        if (pass == 1 && !hidden) total += exp(x - best);
        if (pass == 2) line[j] = hidden ? 0 : (float)(exp(x - best) / total);
      }
  }
}

}  // extern "C"
