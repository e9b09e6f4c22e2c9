// The plain twins of table.cc, and the packings of table formats.
#include "table_rows.h"

#pragma clang fp contract(off)

namespace {

int PlaceOf(const PithTable &table, float x) {
  int place = 0;
  while (place + 1 < table.count && x > table.bounds[place]) ++place;
  return place;
}

float NearestOf(const PithTable &table, float scale, float x) {
  return table.sorted[PlaceOf(table, x / scale)] * scale;
}

float Decoded(const PithTableRows &weight, const uint8_t *codes, size_t row, size_t column) {
  const size_t group = column / weight.group;
  return weight.values[codes[column]] *
         pith::ScaleAt(weight, row * weight.scales_stride + group);
}

}  // namespace

extern "C" {

double pith_table_error_reference(
    const PithTable *table, float scale, const float *source, size_t count) {
  double lanes[16] = {};
  double rest = 0;
  for (size_t i = 0; i < count; ++i) {
    const double error = source[i] - NearestOf(*table, scale, source[i]);
    if (i < count / 16 * 16) {
      lanes[i % 16] += error * error;
    } else {
      rest += error * error;
    }
  }
  for (int width = 8; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) lanes[i] += lanes[i + width];
  }
  return lanes[0] + rest;
}

size_t pith_table_choose_reference(
    const PithTable *table, const float *scales, size_t scale_count, const float *source,
    size_t count) {
  size_t best = 0;
  double best_error = 0;
  for (size_t i = 0; i < scale_count; ++i) {
    const double error = pith_table_error_reference(table, scales[i], source, count);
    if (i == 0 || error < best_error) {
      best = i;
      best_error = error;
    }
  }
  return best;
}

void pith_table_encode_reference(
    const PithTable *table, float scale, const float *source, size_t count, uint8_t *codes,
    float *values) {
  for (size_t i = 0; i < count; ++i) {
    const int place = PlaceOf(*table, source[i] / scale);
    codes[i] = table->codes[place];
    values[i] = table->sorted[place] * scale;
  }
}

void pith_unpack_row(
    const uint8_t *packed, size_t columns, int32_t bits, int32_t packing, uint8_t *codes) {
  switch (packing) {
    case PITH_PACKED_2_4: {
      const uint8_t *low = packed + pith::HighBytes(columns);
      for (size_t i = 0; i < columns; ++i) {
        const int high = packed[i / 4] >> i % 4 * 2 & 3;
        codes[i] = static_cast<uint8_t>(high << 4 | (low[i / 2] >> i % 2 * 4 & 15));
      }
      return;
    }
    case PITH_PACKED_TRITS: {
      unsigned value = 0;
      for (size_t i = 0; i < columns; ++i) {
        value = i % pith::kTritRun == 0 ? packed[i / pith::kTritRun] : value / 3;
        codes[i] = static_cast<uint8_t>(value % 3);
      }
      return;
    }
    default: pith::Unpack(packed, columns, bits, codes);
  }
}

void pith_decode_table_reference(
    const PithTableRows *weight, size_t first_row, size_t rows, float *target,
    size_t target_stride) {
  uint8_t *codes = new uint8_t[weight->columns + 8];
  for (size_t r = 0; r < rows; ++r) {
    const size_t row = first_row + r;
    pith_unpack_row(
        weight->codes + row * weight->codes_stride, weight->columns, weight->bits,
        weight->packing, codes);
    for (size_t c = 0; c < weight->columns; ++c) {
      target[r * target_stride + c] = Decoded(*weight, codes, row, c);
    }
  }
  delete[] codes;
}

void pith_multiply_table_reference(
    const PithTableRows *weight, size_t first_row, size_t rows, const float *x, size_t x_rows,
    size_t x_stride, float *y, size_t y_stride) {
  float *values = new float[weight->columns];
  for (size_t r = 0; r < rows; ++r) {
    pith_decode_table_reference(weight, first_row + r, 1, values, weight->columns);
    for (size_t t = 0; t < x_rows; ++t) {
      double sum = 0;
      for (size_t c = 0; c < weight->columns; ++c) {
        sum += static_cast<double>(values[c]) * static_cast<double>(x[t * x_stride + c]);
      }
      y[t * y_stride + r] += static_cast<float>(sum);
    }
  }
  delete[] values;
}
}
