// The plain twins of encode.cc and decode.cc.
#include <math.h>
#include <string.h>

#include "integer_grid.h"
#include "stored_codes.h"

#pragma clang fp contract(off)

namespace {

int CodeOf(const PithGrid &grid, PithGridPoint point, float x) {
  const float low = static_cast<float>(-point.zero);
  const float high = static_cast<float>(pith::TopCode(grid.bits) - point.zero);
  const float q = rintf(x / point.scale);
  return static_cast<int>(q < low ? low : (q > high ? high : q)) + point.zero;
}

float ValueOf(PithGridPoint point, int code) {
  return static_cast<float>(code - point.zero) * point.scale;
}

double Folded(double (&lanes)[16]) {
  for (int width = 8; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) lanes[i] += lanes[i + width];
  }
  return lanes[0];
}

void PutCode(uint8_t *row, size_t index, int bits, int code) {
  for (int bit = 0; bit < bits; ++bit) {
    const size_t at = index * static_cast<size_t>(bits) + static_cast<size_t>(bit);
    row[at / 8] |= static_cast<uint8_t>((code >> bit & 1) << at % 8);
  }
}

float Decoded(const PithIntegerRows &weight, size_t row, size_t column) {
  const size_t group = column / weight.group;
  const float scale =
      pith::LoadScale(weight.scales, weight.scale_type, row * weight.scales_stride + group);
  return ValueOf(
      {scale, pith::ZeroPointAt(weight, row, group)}, pith::CodeAt(weight, row, column));
}

}  // namespace

extern "C" {

double pith_grid_error_reference(
    const PithGrid *grid, PithGridPoint point, const float *source, size_t count) {
  double lanes[16] = {};
  for (size_t i = 0; i < count; ++i) {
    const float error = source[i] - ValueOf(point, CodeOf(*grid, point, source[i]));
    lanes[i % 16] += static_cast<double>(error) * static_cast<double>(error);
  }
  return Folded(lanes);
}

int64_t pith_encode_integer_reference(
    const PithGrid *grid, const PithGridPoint *fixed, const float *source, size_t rows,
    size_t columns, size_t group, uint8_t *codes, void *scales, uint8_t *zeros,
    PithErrorSums *sums) {
  const size_t bits = static_cast<size_t>(grid->bits);
  const size_t groups = group > 0 ? columns / group : 0;
  const size_t row_bytes = (columns * bits + 7) / 8;
  const size_t zero_bytes = (groups * bits + 7) / 8;
  const int64_t bad = pith_first_nonfinite_reference(source, rows * columns);
  if (bad >= 0) return bad;
  double lanes[4][16] = {};
  memset(codes, 0, rows * row_bytes);
  if (zeros != nullptr && fixed == nullptr) memset(zeros, 0, rows * zero_bytes);
  for (size_t row = 0; row < rows; ++row) {
    for (size_t g = 0; g < groups; ++g) {
      const float *values = source + row * columns + g * group;
      PithGridPoint point;
      if (fixed != nullptr) {
        point = *fixed;
      } else {
        const PithRange range = pith_range_reference(values, group);
        const float low = range.minimum < 0 ? range.minimum : 0;
        const float high = range.maximum > 0 ? range.maximum : 0;
        point = pith::BestPoint(*grid, low, high, [&](PithGridPoint candidate) {
          return pith_grid_error_reference(grid, candidate, values, group);
        });
        pith::StoreScale(point.scale, grid->scale_type, scales, row * groups + g);
        if (zeros != nullptr) PutCode(zeros + row * zero_bytes, g, grid->bits, point.zero);
      }
      for (size_t i = 0; i < group; ++i) {
        const int code = CodeOf(*grid, point, values[i]);
        const float value = ValueOf(point, code);
        const float error = values[i] - value;
        const double a = values[i], b = value, e = error;
        PutCode(codes + row * row_bytes, g * group + i, grid->bits, code);
        lanes[0][i % 16] += e * e;
        lanes[1][i % 16] += a * a;
        lanes[2][i % 16] += b * b;
        lanes[3][i % 16] += a * b;
        if (fabs(e) > sums->maximum_absolute_error) sums->maximum_absolute_error = fabs(e);
      }
    }
  }
  sums->count += rows * columns;
  sums->squared_error += Folded(lanes[0]);
  sums->squared_original += Folded(lanes[1]);
  sums->squared_approximation += Folded(lanes[2]);
  sums->product += Folded(lanes[3]);
  return -1;
}

void pith_decode_integer_reference(
    const PithIntegerRows *weight, size_t first_row, size_t rows, size_t first_column,
    size_t columns, float *target, size_t target_stride) {
  for (size_t r = 0; r < rows; ++r) {
    for (size_t c = 0; c < columns; ++c) {
      target[r * target_stride + c] = Decoded(*weight, first_row + r, first_column + c);
    }
  }
}

void pith_multiply_integer_reference(
    const PithIntegerRows *weight, size_t first_row, size_t rows, const float *x, size_t x_rows,
    size_t x_stride, float *y, size_t y_stride) {
  for (size_t t = 0; t < x_rows; ++t) {
    for (size_t r = 0; r < rows; ++r) {
      double sum = 0;
      for (size_t c = 0; c < weight->columns; ++c) {
        sum += static_cast<double>(x[t * x_stride + c]) * Decoded(*weight, first_row + r, c);
      }
      y[t * y_stride + r] += static_cast<float>(sum);
    }
  }
}
}
