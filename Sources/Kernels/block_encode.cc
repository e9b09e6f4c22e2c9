// ggml's blocks, forwards: how scales, minima and codes are chosen (methods page F4).
#include <math.h>
#include <string.h>

#include "blocks.h"

#pragma clang fp contract(off)

namespace {

int Clamped(float value, int low, int high) {
  const float rounded = rintf(value);
  // Written so that a NaN, from sums that overflowed, becomes a number.
  if (!(rounded > static_cast<float>(low))) return low;
  return rounded > static_cast<float>(high) ? high : static_cast<int>(rounded);
}

float AsHalf(float value) {
  value = value > 65504.0f ? 65504.0f : (value < -65504.0f ? -65504.0f : value);
  uint16_t half;
  pith_f32_to_f16_reference(&value, &half, 1);
  pith_f16_to_f32_reference(&half, &value, 1);
  return value;
}

/// The number with the largest magnitude, with its sign.
float Loudest(const float *x, int count) {
  float loudest = 0;
  for (int i = 0; i < count; ++i) {
    if (fabsf(x[i]) > fabsf(loudest)) loudest = x[i];
  }
  return loudest;
}

/// Sums over a trial's codes l: of w·x·l and w·l².
struct Fit {
  float product = 0, square = 0;
};

/// The signed scale for codes from -top to top - 1 with the least error weighted by x²: of 19
/// inverse scales around -top over the loudest number the one whose least-squares scale explains
/// most.
float SignedScale(const float *x, int count, int top) {
  const float loudest = Loudest(x, count);
  if (fabsf(loudest) < 1e-15f) return 0;
  float best = 0, scale = 0;
  for (int trial = 0; trial < 19; ++trial) {
    // The middle first: among equals it stays.
    const int step = trial == 0 ? 0 : (trial <= 9 ? trial - 10 : trial - 9);
    const float inverse = -(static_cast<float>(top) + 0.1f * static_cast<float>(step)) / loudest;
    Fit fit;
    for (int i = 0; i < count; ++i) {
      const float code = static_cast<float>(Clamped(inverse * x[i], -top, top - 1));
      const float weight = x[i] * x[i];
      fit.product += weight * x[i] * code;
      fit.square += weight * code * code;
    }
    if (fit.square > 0 && (trial == 0 || fit.product * fit.product > best * fit.square)) {
      scale = fit.product / fit.square;
      best = scale * fit.product;
    }
  }
  return scale;
}

/// The signed scale for few codes: those nearest on -top over the loudest number, then each moved
/// for as long as the least-squares scale gains by it.
float RefinedScale(const float *x, int count, int top) {
  const float loudest = Loudest(x, count);
  if (fabsf(loudest) < 1e-15f) return 0;
  const float inverse = -static_cast<float>(top) / loudest;
  int codes[32];
  Fit fit;
  for (int i = 0; i < count; ++i) {
    codes[i] = Clamped(inverse * x[i], -top, top - 1);
    const float code = static_cast<float>(codes[i]);
    const float weight = x[i] * x[i];
    fit.product += weight * x[i] * code;
    fit.square += weight * code * code;
  }
  for (int round = 0; round < 5; ++round) {
    int changed = 0;
    for (int i = 0; i < count; ++i) {
      const float weight = x[i] * x[i];
      const float old = static_cast<float>(codes[i]);
      Fit rest = {fit.product - weight * x[i] * old, fit.square - weight * old * old};
      if (!(rest.product > 0)) continue;
      const int next = Clamped(x[i] * rest.square / rest.product, -top, top - 1);
      if (next == codes[i]) continue;
      const float code = static_cast<float>(next);
      rest.product += weight * x[i] * code;
      rest.square += weight * code * code;
      if (rest.square > 0 &&
          rest.product * rest.product * fit.square > fit.product * fit.product * rest.square) {
        codes[i] = next;
        fit = rest;
        ++changed;
      }
    }
    if (changed == 0) break;
  }
  return fit.square > 0 ? fit.product / fit.square : 0;
}

/// How scales with minima are looked for.
struct Search {
  float first, step;
  int steps;
  bool absolute;  ///< absolute errors instead of squares
};

/// The scale and the (positive) amount taken off, for codes from 0 to top: of several inverse
/// scales the one whose weighted least-squares line has the least error.
void LineOf(
    const float *x, const float *weights, int count, int top, Search search, float *scale_out,
    float *minimum_out) {
  float low = x[0], high = x[0], sum_w = 0, sum_x = 0;
  for (int i = 0; i < count; ++i) {
    low = x[i] < low ? x[i] : low;
    high = x[i] > high ? x[i] : high;
    sum_w += weights[i];
    sum_x += weights[i] * x[i];
  }
  if (low > 0) low = 0;
  *minimum_out = -low;
  *scale_out = 0;
  if (high <= low) return;
  const auto error_of = [&](float inverse, float scale, float start, float minimum) {
    float error = 0;
    for (int i = 0; i < count; ++i) {
      const float code = static_cast<float>(Clamped(inverse * (x[i] - start), 0, top));
      const float off = scale * code + minimum - x[i];
      error += weights[i] * (search.absolute ? fabsf(off) : off * off);
    }
    return error;
  };
  float minimum = low;
  float scale = 1.0f / (static_cast<float>(top) / (high - low));
  float best = error_of(static_cast<float>(top) / (high - low), scale, low, minimum);
  for (int step = 0; step <= search.steps; ++step) {
    const float inverse =
        (search.first + search.step * static_cast<float>(step) + static_cast<float>(top)) /
        (high - minimum);
    // Each trial starts from the best line so far.
    const float from = minimum;
    float sum_l = 0, sum_l2 = 0, sum_xl = 0;
    for (int i = 0; i < count; ++i) {
      const float code = static_cast<float>(Clamped(inverse * (x[i] - from), 0, top));
      sum_l += weights[i] * code;
      sum_l2 += weights[i] * code * code;
      sum_xl += weights[i] * x[i] * code;
    }
    const float determinant = sum_w * sum_l2 - sum_l * sum_l;
    if (!(determinant > 0)) continue;
    float slope = (sum_w * sum_xl - sum_x * sum_l) / determinant;
    float start = (sum_l2 * sum_x - sum_l * sum_xl) / determinant;
    if (start > 0) {
      start = 0;
      slope = sum_xl / sum_l2;
    }
    const float error = error_of(inverse, slope, from, start);
    if (error < best) {
      best = error;
      scale = slope;
      minimum = start;
    }
  }
  *scale_out = scale;
  *minimum_out = -minimum;
}

/// Codes of all sub-blocks on the block's scales as stored; codes stay 0 where a scale is 0.
void Recode(const PithBlockFormat &format, const float *x, PithBlock *block) {
  for (int j = 0; j < format.length / format.sub; ++j) {
    const float scale = block->d * static_cast<float>(block->scales[j]);
    const float minimum = block->minimum * static_cast<float>(block->minima[j]);
    for (int i = j * format.sub; i < (j + 1) * format.sub; ++i) {
      block->codes[i] = static_cast<int16_t>(
          scale == 0 ? 0 : Clamped((x[i] + minimum) / scale, format.low, format.high));
    }
  }
}

/// Q2_K, Q4_K and Q5_K: scales and minima of sub-blocks as whole shares of the largest of each.
void EncodeLines(int32_t type, const PithBlockFormat &format, const float *x, PithBlock *block) {
  const bool two = type == PITH_Q2_K;
  const Search search = type == PITH_Q4_K ? Search{-1.0f, 0.1f, 20, false}
                                          : Search{-0.5f, 0.1f, 15, two};
  const int count = format.length / format.sub;
  float scales[pith::kSubBlocks], minima[pith::kSubBlocks], weights[32];
  float scale_top = 0, minimum_top = 0;
  for (int j = 0; j < count; ++j) {
    const float *values = x + j * format.sub;
    float square = 0;
    for (int i = 0; i < format.sub; ++i) square += values[i] * values[i];
    const float mean = two ? 0 : sqrtf(square / static_cast<float>(format.sub));
    for (int i = 0; i < format.sub; ++i) weights[i] = mean + fabsf(values[i]);
    LineOf(values, weights, format.sub, format.high, search, scales + j, minima + j);
    scale_top = scales[j] > scale_top ? scales[j] : scale_top;
    minimum_top = minima[j] > minimum_top ? minima[j] : minimum_top;
  }
  const float top = static_cast<float>(format.scale_high);
  block->d = AsHalf(scale_top / top);
  block->minimum = AsHalf(minimum_top / top);
  for (int j = 0; j < count; ++j) {
    block->scales[j] = static_cast<int16_t>(
        scale_top > 0 ? Clamped(top / scale_top * scales[j], 0, format.scale_high) : 0);
    block->minima[j] = static_cast<int16_t>(
        minimum_top > 0 ? Clamped(top / minimum_top * minima[j], 0, format.min_high) : 0);
  }
  Recode(format, x, block);
}

/// Q3_K and Q6_K: signed scales of sub-blocks as whole shares of the loudest.
void EncodeSigned(const PithBlockFormat &format, const float *x, PithBlock *block) {
  float scales[pith::kSubBlocks];
  const int count = format.length / format.sub;
  for (int j = 0; j < count; ++j) {
    const float *values = x + j * format.sub;
    scales[j] = format.low == -4 ? RefinedScale(values, format.sub, 4)
                                 : SignedScale(values, format.sub, -format.low);
  }
  const float loudest = Loudest(scales, count);
  block->minimum = 0;
  memset(block->minima, 0, sizeof(block->minima));
  const float inverse = static_cast<float>(format.scale_low) / loudest;
  block->d = fabsf(loudest) < 1e-15f ? 0 : AsHalf(1.0f / inverse);
  for (int j = 0; j < count; ++j) {
    block->scales[j] = static_cast<int16_t>(
        block->d == 0 ? 0 : Clamped(inverse * scales[j], format.scale_low, format.scale_high));
  }
  Recode(format, x, block);
}

/// The older formats with 32 values: one scale, and one smallest value for some.
void EncodeOld(int32_t type, const PithBlockFormat &format, const float *x, PithBlock *block) {
  float scale, start = 0;
  block->scales[0] = 1;
  block->minima[0] = 0;
  block->minimum = 0;
  if (format.min_high == 1) {
    float low = x[0], high = x[0];
    for (int i = 1; i < format.length; ++i) {
      low = x[i] < low ? x[i] : low;
      high = x[i] > high ? x[i] : high;
    }
    scale = high / static_cast<float>(format.high) - low / static_cast<float>(format.high);
    start = low;
    block->minimum = AsHalf(low);
    block->minima[0] = -1;
  } else {
    const float loudest = Loudest(x, format.length);
    // 8 bits are symmetric; fewer lay the loudest number, of either sign, on the code without a
    // counterpart.
    scale = type == PITH_Q8_0 ? fabsf(loudest) / 127.0f : loudest / static_cast<float>(format.low);
  }
  block->d = AsHalf(scale);
  // A subnormal scale has no inverse; f16 makes it 0 anyway.
  const float inverse = fabsf(scale) < 1e-37f ? 0 : 1.0f / scale;
  for (int i = 0; i < format.length; ++i) {
    const float q = (x[i] - start) * inverse;
    int code;
    if (type == PITH_Q8_0) {
      code = static_cast<int>(roundf(q));
    } else {
      // Rounded half up by cutting off a positive number, as ggml does.
      const float shifted = q - static_cast<float>(format.low) + 0.5f;
      code = static_cast<int>(shifted > 255.0f ? 255.0f : shifted) + format.low;
    }
    block->codes[i] = static_cast<int16_t>(
        code < format.low ? format.low : (code > format.high ? format.high : code));
  }
}

}  // namespace

extern "C" {

void pith_recode_block(int32_t type, const float *source, PithBlock *block) {
  Recode(pith::BlockFormatOf(type), source, block);
}

void pith_encode_blocks(int32_t type, const float *source, size_t count, uint8_t *blocks) {
  const PithBlockFormat &format = pith::BlockFormatOf(type);
  PithBlock block;
  for (size_t at = 0; at < count; ++at) {
    const float *x = source + at * static_cast<size_t>(format.length);
    if (format.length == 32) {
      EncodeOld(type, format, x, &block);
    } else if (format.min_high > 0) {
      EncodeLines(type, format, x, &block);
    } else {
      EncodeSigned(format, x, &block);
    }
    pith_pack_block(type, &block, blocks + at * static_cast<size_t>(format.bytes));
  }
}
}
