// Pruned weights: survivors spread over their rows.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "sparse.cc"
#include "target.h"

#include <hwy/foreach_target.h>

#include "include/PithSparse.h"
#include "lanes-inl.h"

#pragma clang fp contract(off)

HWY_BEFORE_NAMESPACE();
namespace pith {
namespace HWY_NAMESPACE {
namespace {

/// The sixteen bits of a row from column i on; `bytes` is the row's length.
HWY_INLINE uint32_t Sixteen(const uint8_t *bitmap, size_t i, size_t bytes) {
  const size_t at = i / 8;
  uint32_t word = bitmap[at];
  if (at + 1 < bytes) word |= static_cast<uint32_t>(bitmap[at + 1]) << 8;
  if (at + 2 < bytes) word |= static_cast<uint32_t>(bitmap[at + 2]) << 16;
  return word >> i % 8 & 0xFFFF;
}

#if HWY_TARGET <= HWY_AVX3
/// Sixteen columns' values from the survivors at `from`, sixteen of which may be read: from a
/// register, as the form that reads memory is slow on some processors. What is taken varies, and so
/// the processor does not see by itself what comes next.
HWY_INLINE __m512 Expanded(const float *from, uint32_t bits) {
  __builtin_prefetch(from + 512);
  return _mm512_maskz_expand_ps(static_cast<__mmask16>(bits), _mm512_loadu_ps(from));
}

HWY_INLINE void Spread(const float *from, uint32_t bits, float *target) {
  _mm512_storeu_ps(target, Expanded(from, bits));
}

/// Sixteen columns' values from the codes at `from`.
HWY_INLINE void Spread(
    const uint8_t *from, float zero, float scale, uint32_t bits, float *target) {
  const __m512i code = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i *>(from)));
  const __m512 step = _mm512_sub_ps(_mm512_cvtepi32_ps(code), _mm512_set1_ps(zero));
  const __m512 value = _mm512_mul_ps(step, _mm512_set1_ps(scale));
  _mm512_storeu_ps(target, _mm512_maskz_expand_ps(static_cast<__mmask16>(bits), value));
}
#else
HWY_INLINE void Spread(const float *from, uint32_t bits, float *target) {
  for (size_t i = 0; i < kBlock; ++i) {
    const uint32_t bit = bits >> i & 1;
    uint32_t value;
    memcpy(&value, from, 4);
    value &= 0u - bit;
    memcpy(target + i, &value, 4);
    from += bit;
  }
}

HWY_INLINE void Spread(
    const uint8_t *from, float zero, float scale, uint32_t bits, float *target) {
  float values[kBlock];
  for (size_t i = 0; i < kBlock; ++i) values[i] = (static_cast<float>(from[i]) - zero) * scale;
  Spread(values, bits, target);
}
#endif

}  // namespace

size_t ExpandFloats(
    const uint8_t *bitmap, const float *survivors, size_t columns, float *target) {
  const size_t bytes = (columns + 7) / 8;
  const float *from = survivors;
  size_t i = 0;
  for (; i + kBlock <= columns; i += kBlock) {
    const uint32_t word = Sixteen(bitmap, i, bytes);
    Spread(from, word, target + i);
    from += __builtin_popcount(word);
  }
  for (; i < columns; ++i) target[i] = (bitmap[i / 8] >> i % 8 & 1) != 0 ? *from++ : 0;
  return static_cast<size_t>(from - survivors);
}

size_t ExpandCodes(
    const uint8_t *bitmap, const uint8_t *codes, size_t columns, size_t group,
    const float *scales, const float *zeros, float *target) {
  const size_t bytes = (columns + 7) / 8;
  const uint8_t *from = codes;
  for (size_t start = 0; start < columns; start += group) {
    const size_t g = start / group;
    const size_t end = start + group < columns ? start + group : columns;
    size_t i = start;
    for (; i + kBlock <= end; i += kBlock) {
      const uint32_t word = Sixteen(bitmap, i, bytes);
      Spread(from, zeros[g], scales[g], word, target + i);
      from += __builtin_popcount(word);
    }
    for (; i < end; ++i) {
      const bool kept = (bitmap[i / 8] >> i % 8 & 1) != 0;
      target[i] = kept ? (static_cast<float>(*from++) - zeros[g]) * scales[g] : 0;
    }
  }
  return static_cast<size_t>(from - codes);
}

namespace {

/// The sixteen bits of a row from column i on, a multiple of sixteen.
HWY_INLINE uint32_t AlignedSixteen(const uint8_t *bitmap, size_t i, size_t bytes) {
  uint16_t word = bitmap[i / 8];
  if (i / 8 + 2 <= bytes) memcpy(&word, bitmap + i / 8, 2);
  return word;
}

/// Sixteen columns' values from survivors; sixteen of them may be read.
HWY_INLINE void Take(const float *from, uint32_t bits, VecF (&values)[kVectors]) {
#if HWY_TARGET <= HWY_AVX3
  values[0] = VecF{Expanded(from, bits)};
#else
  HWY_ALIGN float block[kBlock];
  Spread(from, bits, block);
  for (size_t v = 0; v < kVectors; ++v) values[v] = hn::Load(TagF(), block + v * kLanes);
#endif
}

HWY_INLINE void Take(
    const uint8_t *from, float zero, float scale, uint32_t bits, VecF (&values)[kVectors]) {
#if HWY_TARGET <= HWY_AVX3
  const __m512i code = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i *>(from)));
  const __m512 step = _mm512_sub_ps(_mm512_cvtepi32_ps(code), _mm512_set1_ps(zero));
  const __m512 value = _mm512_mul_ps(step, _mm512_set1_ps(scale));
  values[0] = VecF{_mm512_maskz_expand_ps(static_cast<__mmask16>(bits), value)};
#else
  HWY_ALIGN float block[kBlock];
  Spread(from, zero, scale, bits, block);
  for (size_t v = 0; v < kVectors; ++v) values[v] = hn::Load(TagF(), block + v * kLanes);
#endif
}

/// Sums of kRows rows of inputs with one row of survivors; `next` gives the sixteen columns' values
/// from i on.
template <size_t kRows, class Next>
HWY_INLINE void MultiplyRows(
    size_t columns, const float *x, size_t x_stride, float *y, size_t y_stride, Next next) {
  const TagF f;
  VecF sums[kRows][kVectors];
  for (size_t r = 0; r < kRows; ++r) {
    for (size_t v = 0; v < kVectors; ++v) sums[r][v] = hn::Zero(f);
  }
  VecF values[kVectors];
  size_t i = 0;
  for (; i + kBlock <= columns; i += kBlock) {
    next(i, values);
    for (size_t r = 0; r < kRows; ++r) {
      const float *from = x + r * x_stride + i;
      for (size_t v = 0; v < kVectors; ++v) {
        const VecF product = hn::Mul(values[v], hn::LoadU(f, from + v * kLanes));
        sums[r][v] = hn::Add(sums[r][v], product);
      }
    }
  }
  if (i < columns) {
    HWY_ALIGN float padded[kBlock];
    next(i, values);
    for (size_t r = 0; r < kRows; ++r) {
      PadBlock(x + r * x_stride + i, columns - i, padded);
      for (size_t v = 0; v < kVectors; ++v) {
        const VecF product = hn::Mul(values[v], hn::Load(f, padded + v * kLanes));
        sums[r][v] = hn::Add(sums[r][v], product);
      }
    }
  }
  for (size_t r = 0; r < kRows; ++r) {
    HWY_ALIGN float all[kBlock];
    for (size_t v = 0; v < kVectors; ++v) hn::Store(sums[r][v], f, all + v * kLanes);
    for (size_t width = kBlock / 2; width > 0; width /= 2) {
      for (size_t k = 0; k < width; ++k) all[k] += all[k + width];
    }
    y[r * y_stride] = all[0];
  }
}

/// All rows of inputs, as many at a time as there is room for in registers.
template <class Start>
HWY_INLINE void MultiplyAll(
    size_t columns, const float *x, size_t rows, size_t x_stride, float *y, size_t y_stride,
    Start start) {
  size_t r = 0;
  if (kVectors == 1) {
    for (; r + 8 <= rows; r += 8) {
      MultiplyRows<8>(columns, x + r * x_stride, x_stride, y + r * y_stride, y_stride, start());
    }
  }
  for (; r + 4 <= rows; r += 4) {
    MultiplyRows<4>(columns, x + r * x_stride, x_stride, y + r * y_stride, y_stride, start());
  }
  for (; r + 2 <= rows; r += 2) {
    MultiplyRows<2>(columns, x + r * x_stride, x_stride, y + r * y_stride, y_stride, start());
  }
  for (; r < rows; ++r) {
    MultiplyRows<1>(columns, x + r * x_stride, x_stride, y + r * y_stride, y_stride, start());
  }
}

}  // namespace

void MultiplySurvivors(
    const uint8_t *bitmap, const float *survivors, size_t columns, const float *x, size_t rows,
    size_t x_stride, float *y, size_t y_stride) {
  const size_t bytes = (columns + 7) / 8;
  MultiplyAll(columns, x, rows, x_stride, y, y_stride, [=]() {
    const float *from = survivors;
    return [=](size_t i, VecF(&values)[kVectors]) mutable {
      const uint32_t word = AlignedSixteen(bitmap, i, bytes);
      Take(from, word, values);
      from += __builtin_popcount(word);
    };
  });
}

void MultiplySurvivorCodes(
    const uint8_t *bitmap, const uint8_t *codes, size_t columns, size_t group,
    const float *scales, const float *zeros, const float *x, size_t rows, size_t x_stride,
    float *y, size_t y_stride) {
  const size_t bytes = (columns + 7) / 8;
  MultiplyAll(columns, x, rows, x_stride, y, y_stride, [=]() {
    const uint8_t *from = codes;
    size_t g = 0, end = group;
    return [=](size_t i, VecF(&values)[kVectors]) mutable {
      const uint32_t word = AlignedSixteen(bitmap, i, bytes);
      if (i >= end) {
        g = i / group;
        end = (g + 1) * group;
      }
      if (i + kBlock <= end) {
        Take(from, zeros[g], scales[g], word, values);
        from += __builtin_popcount(word);
        return;
      }
      HWY_ALIGN float block[kBlock];
      for (size_t j = 0; j < kBlock; ++j) {
        const bool kept = (word >> j & 1) != 0;
        const size_t own = (i + j) / group;
        block[j] = kept ? (static_cast<float>(*from++) - zeros[own]) * scales[own] : 0;
      }
      for (size_t v = 0; v < kVectors; ++v) values[v] = hn::Load(TagF(), block + v * kLanes);
    };
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace pith
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pith {
extern "C" {

size_t pith_expand_floats(
    const uint8_t *bitmap, const float *survivors, size_t columns, float *target) {
  return PITH_DISPATCH(ExpandFloats)(bitmap, survivors, columns, target);
}
size_t pith_expand_codes(
    const uint8_t *bitmap, const uint8_t *codes, size_t columns, size_t group,
    const float *scales, const float *zeros, float *target) {
  return PITH_DISPATCH(ExpandCodes)(bitmap, codes, columns, group, scales, zeros, target);
}
void pith_multiply_survivors(
    const uint8_t *bitmap, const float *survivors, size_t columns, const float *x, size_t rows,
    size_t x_stride, float *y, size_t y_stride) {
  PITH_DISPATCH(MultiplySurvivors)(bitmap, survivors, columns, x, rows, x_stride, y, y_stride);
}
void pith_multiply_survivor_codes(
    const uint8_t *bitmap, const uint8_t *codes, size_t columns, size_t group,
    const float *scales, const float *zeros, const float *x, size_t rows, size_t x_stride,
    float *y, size_t y_stride) {
  PITH_DISPATCH(MultiplySurvivorCodes)(
      bitmap, codes, columns, group, scales, zeros, x, rows, x_stride, y, y_stride);
}
}
}  // namespace pith
#endif
