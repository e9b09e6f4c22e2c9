#include <math.h>

#include "forward_vector.h"
#include "include/PithForward.h"

using namespace pith;

namespace {
constexpr size_t kRun = 4096;
constexpr size_t kShortRun = 256;
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

PITH_CLONES float pith_maximum(const float *x, size_t count) {
  Lanes best = Lanes{} - INFINITY, value;
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    load(value, x + i);
    raise_to(best, value);
  }
  float largest = maximum(best);
  for (; i < count; ++i) largest = x[i] > largest ? x[i] : largest;
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

PITH_CLONES void pith_divergence_sums(const float *p, const float *q, size_t count, float p_shift,
                                      float q_shift, double *sums) {
  while (count > 0) {
    const size_t run = count < kShortRun ? count : kShortRun;
    Lanes p_sum = {}, q_sum = {}, gap_sum = {};
    for (size_t i = 0; i < run; i += kLanes) {
      Lanes a, b, weight, gap;
      if (i + kLanes <= run) {
        load(a, p + i);
        load(b, q + i);
      } else {
        // Far below any shift, so that the padding weighs nothing; finite, so that the gap is 0.
        load_tail(a, p + i, run - i, -3e38f);
        load_tail(b, q + i, run - i, -3e38f);
      }
      gap = a - b;
      weight = a - p_shift;
      exponential(weight);
      p_sum += weight;
      gap_sum += weight * gap;
      b -= q_shift;
      exponential(b);
      q_sum += b;
    }
    sums[0] += sum(p_sum);
    sums[1] += sum(gap_sum);
    sums[2] += sum(q_sum);
    p += run;
    q += run;
    count -= run;
  }
}

void pith_divergence_sums_reference(const float *p, const float *q, size_t count, float p_shift,
                                    float q_shift, double *sums) {
  for (size_t i = 0; i < count; ++i) {
    const double weight = exp((double)p[i] - p_shift);
    sums[0] += weight;
    sums[1] += weight * ((double)p[i] - q[i]);
    sums[2] += exp((double)q[i] - q_shift);
  }
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
