// The plain twins of conversion.cc and reduction.cc: one element at a time, nothing clever.
#include <math.h>
#include <string.h>

#include "include/PithKernels.h"

#pragma clang fp contract(off)

namespace {

template <class T>
T Load(const void *source, size_t index) {
  T value;
  memcpy(&value, static_cast<const char *>(source) + index * sizeof(T), sizeof(T));
  return value;
}

template <class T>
void Store(T value, void *target, size_t index) {
  memcpy(static_cast<char *>(target) + index * sizeof(T), &value, sizeof(T));
}

uint32_t BitsOf(float value) { return Load<uint32_t>(&value, 0); }
float FloatOf(uint32_t bits) { return Load<float>(&bits, 0); }

}  // namespace

extern "C" {

void pith_f16_to_f32_reference(const void *source, float *target, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    const uint32_t half = Load<uint16_t>(source, i);
    const uint32_t sign = (half & 0x8000u) << 16;
    const uint32_t exponent = half >> 10 & 0x1F;
    const uint32_t fraction = half & 0x3FF;
    uint32_t bits;
    if (exponent == 0) {
      bits = BitsOf(static_cast<float>(fraction) * 0x1p-24f);
    } else if (exponent == 31) {
      bits = 0x7F800000u | fraction << 13 | (fraction == 0 ? 0 : 0x00400000u);
    } else {
      bits = (exponent + 112) << 23 | fraction << 13;
    }
    target[i] = FloatOf(sign | bits);
  }
}

void pith_bf16_to_f32_reference(const void *source, float *target, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    target[i] = FloatOf(static_cast<uint32_t>(Load<uint16_t>(source, i)) << 16);
  }
}

void pith_f32_to_f16_reference(const float *source, void *target, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    const uint32_t bits = BitsOf(source[i]);
    const uint32_t sign = bits >> 16 & 0x8000u;
    const uint32_t magnitude = bits & 0x7FFFFFFFu;
    uint32_t half;
    if (magnitude > 0x7F800000u) {
      half = 0x7E00u | (magnitude >> 13 & 0x3FFu);
    } else if (magnitude >= 0x477FF000u) {
      half = 0x7C00u;
    } else if (magnitude < 0x38800000u) {
      half = BitsOf(FloatOf(magnitude) + 0.5f) - 0x3F000000u;
    } else {
      half = (magnitude - 0x38000000u + 0xFFFu + (magnitude >> 13 & 1)) >> 13;
    }
    Store(static_cast<uint16_t>(sign | half), target, i);
  }
}

void pith_f32_to_bf16_reference(const float *source, void *target, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    const uint32_t bits = BitsOf(source[i]);
    const uint32_t half = (bits & 0x7FFFFFFFu) > 0x7F800000u
                              ? bits >> 16 | 0x40u
                              : (bits + 0x7FFFu + (bits >> 16 & 1)) >> 16;
    Store(static_cast<uint16_t>(half), target, i);
  }
}

uint64_t pith_sum_bytes_reference(const void *source, size_t count) {
  uint64_t sum = 0;
  for (size_t i = 0; i < count; ++i) sum += Load<uint8_t>(source, i);
  return sum;
}

int64_t pith_first_nonfinite_reference(const float *source, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    if ((BitsOf(source[i]) & 0x7F800000u) == 0x7F800000u) return static_cast<int64_t>(i);
  }
  return -1;
}

PithRange pith_range_reference(const float *source, size_t count) {
  PithRange range = {source[0], source[0], 0};
  for (size_t i = 1; i < count; ++i) {
    if (source[i] < range.minimum) range.minimum = source[i];
    if (source[i] > range.maximum) range.maximum = source[i];
  }
  range.absolute_maximum = -range.minimum > range.maximum ? -range.minimum : range.maximum;
  return range;
}

void pith_error_sums_reference(
    const float *original, const float *approximation, size_t count, PithErrorSums *sums) {
  // The lanes and the fold of the vector version, so that the two can be compared bit for bit.
  double lanes[4][16] = {};
  for (size_t i = 0; i < count; ++i) {
    const float error = original[i] - approximation[i];
    const double a = original[i], b = approximation[i], e = error;
    lanes[0][i % 16] += e * e;
    lanes[1][i % 16] += a * a;
    lanes[2][i % 16] += b * b;
    lanes[3][i % 16] += a * b;
    if (fabs(e) > sums->maximum_absolute_error) sums->maximum_absolute_error = fabs(e);
  }
  for (auto &lane : lanes) {
    for (int width = 8; width > 0; width /= 2) {
      for (int i = 0; i < width; ++i) lane[i] += lane[i + width];
    }
  }
  sums->count += count;
  sums->squared_error += lanes[0][0];
  sums->squared_original += lanes[1][0];
  sums->squared_approximation += lanes[2][0];
  sums->product += lanes[3][0];
}

void pith_apply_bitmap_reference(float *values, const uint8_t *bitmap, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    if ((bitmap[i / 8] >> i % 8 & 1) == 0) values[i] = 0;
  }
}
}
