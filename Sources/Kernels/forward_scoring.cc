#include <math.h>

#include "forward_vector.h"
#include "include/PithForward.h"

using namespace pith;

namespace {
constexpr size_t kRun = 4096;
}

extern "C" {

PITH_CLONES float pith_largest(const float *x, size_t count, size_t *index) {
  Lanes best = Lanes{} - INFINITY, value;
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    load(value, x + i);
    raise_to(best, value);
  }
  float largest = maximum(best);
  for (; i < count; ++i) largest = x[i] > largest ? x[i] : largest;
  // All NaN leaves the first index and minus infinity.
  *index = 0;
  for (size_t j = 0; j < count; ++j)
    if (x[j] == largest) {
      *index = j;
      break;
    }
  return largest;
}

PITH_CLONES double pith_sum_exp(const float *x, size_t count, float shift) {
  double total = 0;
  while (count > 0) {
    const size_t run = count < kRun ? count : kRun;
    Lanes lanes = {}, value;
    size_t i = 0;
    for (; i + kLanes <= run; i += kLanes) {
      load(value, x + i);
      value -= shift;
      exponential(value);
      lanes += value;
    }
    if (i < run) {
      load_tail(value, x + i, run - i, -INFINITY);
      value -= shift;
      exponential(value);
      lanes += value;
    }
    total += sum(lanes);
    x += run;
    count -= run;
  }
  return total;
}

double pith_sum_exp_reference(const float *x, size_t count, float shift) {
  double total = 0;
  for (size_t i = 0; i < count; ++i) total += exp((double)x[i] - shift);
  return total;
}

PITH_CLONES int pith_column_statistics(const float *x, size_t rows, size_t width, double *sums,
                                       double *absolute_sums, double *square_sums, float *maxima) {
  int32_t odd = 0;
  for (size_t row = 0; row < rows; ++row, x += width)
    for (size_t i = 0; i < width; ++i) {
      const float magnitude = fabsf(x[i]);
      const double value = x[i];
      sums[i] += value;
      absolute_sums[i] += fabs(value);
      square_sums[i] += value * value;
      maxima[i] = magnitude > maxima[i] ? magnitude : maxima[i];
      odd |= !(magnitude <= 3.402823466e38f);
    }
  return odd == 0;
}

PITH_CLONES void pith_accumulate(double *accumulator, size_t accumulator_stride, const float *tile,
                                 size_t rows, size_t columns) {
  for (size_t row = 0; row < rows; ++row)
    for (size_t i = 0; i < columns; ++i)
      accumulator[row * accumulator_stride + i] += (double)tile[row * columns + i];
}

}  // extern "C"
