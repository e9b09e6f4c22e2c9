// Pruned weights: the sweep inside one block of columns, and survivors spread over their rows.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "sparse.cc"
#include "target.h"

#include <hwy/foreach_target.h>

#include "include/PithSparse.h"
#include "lanes-inl.h"
#include "sparse_choice.h"

#pragma clang fp contract(off)

HWY_BEFORE_NAMESPACE();
namespace pith {
namespace HWY_NAMESPACE {
namespace {

/// values[from..<width] -= e · factor[from..<width], from the vector that holds `from` on: the
/// factor is zero before its diagonal, and the caller sets the diagonal's own entry afterwards.
HWY_INLINE void TakeOff(float *values, const float *factor, size_t from, size_t width, float e) {
  const TagF f;
  const VecF share = hn::Set(f, e);
  for (size_t i = from & ~(kBlock - 1); i < width; i += kLanes) {
    const VecF step = hn::Mul(share, hn::LoadU(f, factor + i));
    hn::StoreU(hn::Sub(hn::LoadU(f, values + i), step), f, values + i);
  }
}

/// The sixteen bits of a row from column i on; `bytes` is the row's length.
HWY_INLINE uint32_t Sixteen(const uint8_t *bitmap, size_t i, size_t bytes) {
  const size_t at = i / 8;
  uint32_t word = bitmap[at];
  if (at + 1 < bytes) word |= static_cast<uint32_t>(bitmap[at + 1]) << 8;
  if (at + 2 < bytes) word |= static_cast<uint32_t>(bitmap[at + 2]) << 16;
  return word >> i % 8 & 0xFFFF;
}

#if HWY_TARGET <= HWY_AVX3
/// Sixteen columns' values from the survivors at `from`; only those that are taken are read.
HWY_INLINE void Spread(const float *from, uint32_t bits, float *target) {
  _mm512_storeu_ps(target, _mm512_maskz_expandloadu_ps(static_cast<__mmask16>(bits), from));
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

double SparseSweep(const PithSweepTile *tile, size_t first, size_t last) {
  const size_t width = tile->width;
  double loss = 0;
  for (size_t r = 0; r < tile->rows; ++r) {
    float *w = tile->values + r * width;
    float *errors = tile->errors + r * width;
    uint8_t *kept = tile->kept + r * width;
    for (size_t i = first; i < last; ++i) {
      if (tile->of > 0 && (i - first) % static_cast<size_t>(tile->of) == 0) {
        ChoosePattern(w, kept, tile->factor, width, i, tile->keep, tile->of);
      }
      float q = 0;
      if (tile->codes != nullptr) {
        q = RoundOnGrid(*tile, r, i, w[i], kept[i] != 0);
      } else if (kept[i] != 0) {
        errors[i] = 0;
        continue;
      }
      const float *factor = tile->factor + i * width;
      const float e = (w[i] - q) / factor[i];
      errors[i] = e;
      loss += static_cast<double>(e) * e;
      TakeOff(w, factor, i + 1, width, e);
      w[i] = q;
    }
  }
  return loss;
}

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

}  // namespace HWY_NAMESPACE
}  // namespace pith
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pith {
extern "C" {

double pith_sparse_sweep(const PithSweepTile *tile, size_t first, size_t last) {
  return PITH_DISPATCH(SparseSweep)(tile, first, last);
}
size_t pith_expand_floats(
    const uint8_t *bitmap, const float *survivors, size_t columns, float *target) {
  return PITH_DISPATCH(ExpandFloats)(bitmap, survivors, columns, target);
}
size_t pith_expand_codes(
    const uint8_t *bitmap, const uint8_t *codes, size_t columns, size_t group,
    const float *scales, const float *zeros, float *target) {
  return PITH_DISPATCH(ExpandCodes)(bitmap, codes, columns, group, scales, zeros, target);
}
}
}  // namespace pith
#endif
