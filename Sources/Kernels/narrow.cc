// Sums of 16-bit products with the rows of an integer grid (PithNarrow.h).
//
// Laid out as product.cc is: panels of the weight stay in the second-level cache while all
// activations pass, whose rows are read where they lie, two numbers at a time.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "narrow.cc"
#include "target.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include "include/PithNarrow.h"
#include "panels-inl.h"

#ifndef PITH_NARROW_VARIANTS
#define PITH_NARROW_VARIANTS
namespace pith {
/// Whether the processor adds 16-bit products up in one instruction.
inline bool HasWordSums() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512vnni");
#else
  return false;
#endif
}
}  // namespace pith
#endif

HWY_BEFORE_NAMESPACE();
namespace pith {
namespace HWY_NAMESPACE {

#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
namespace {
namespace hn = hwy::HWY_NAMESPACE;

using Tag = hn::CappedTag<float, 16>;
using Ints = hn::RebindToSigned<Tag>;
using Vec = hn::Vec<Tag>;
using IntVec = hn::Vec<Ints>;

/// sum + the products of both halves of each word.
template <bool kHasWordSums>
HWY_INLINE IntVec Added(IntVec sum, IntVec a, IntVec b) {
#if HWY_TARGET == HWY_AVX3
  if constexpr (kHasWordSums) {
    // As text, since the compiler makes two instructions of the intrinsic: 440 instead of 380
    // GFLOP/s.
    asm("vpdpwssd %2, %1, %0" : "+v"(sum.raw) : "v"(a.raw), "v"(b.raw));
    return sum;
  }
  sum.raw = _mm512_add_epi32(sum.raw, _mm512_madd_epi16(a.raw, b.raw));
  return sum;
#else
  sum.raw = _mm256_add_epi32(sum.raw, _mm256_madd_epi16(a.raw, b.raw));
  return sum;
#endif
}

/// A panel of a piece.
struct Panel {
  const int32_t *codes;
  const float *scales;
  size_t columns, chunk;
};

/// `kRows` rows of activations with a panel, `kRows × kPanel`.
template <bool kHasWordSums, size_t kRows>
HWY_INLINE void Sums(
    const PithNarrowRows &x, size_t row, const Panel &panel, float *y, size_t y_stride,
    bool adds) {
  const Tag tag;
  const Ints ints;
  const int16_t *values = x.values + row * x.stride;
  const float *x_scales = x.scales + row * x.scales_stride;
  HWY_ALIGN float held[kRows * kPanel];
PITH_UNROLLED
  for (size_t t = 0; t < kRows; ++t) {
    for (size_t v = 0; v < kPanel; v += kWidth) {
      hn::Store(
          adds ? hn::LoadU(tag, y + t * y_stride + v) : hn::Zero(tag), tag, held + t * kPanel + v);
    }
  }
  const size_t chunks = panel.columns / panel.chunk;
  const int32_t *codes = panel.codes;
  for (size_t k = 0; k < chunks; ++k) {
    IntVec sums[kRows][2];
PITH_UNROLLED
    for (size_t t = 0; t < kRows; ++t) sums[t][0] = sums[t][1] = hn::Zero(ints);
    for (size_t c = 0; c < panel.chunk; c += 2) {
      const IntVec left = hn::LoadU(ints, codes);
      const IntVec right = hn::LoadU(ints, codes + kWidth);
      codes += kPanel;
PITH_UNROLLED
      for (size_t t = 0; t < kRows; ++t) {
        int32_t both;
        __builtin_memcpy(&both, values + t * x.stride + c, sizeof both);
        const IntVec value = hn::Set(ints, both);
        sums[t][0] = Added<kHasWordSums>(sums[t][0], value, left);
        sums[t][1] = Added<kHasWordSums>(sums[t][1], value, right);
      }
    }
    values += panel.chunk;
    const Vec left = hn::LoadU(tag, panel.scales + k * kPanel);
    const Vec right = hn::LoadU(tag, panel.scales + k * kPanel + kWidth);
PITH_UNROLLED
    for (size_t t = 0; t < kRows; ++t) {
      const Vec scale = hn::Set(tag, x_scales[t * x.scales_stride + k]);
      float *to = held + t * kPanel;
      const Vec first = hn::Mul(hn::ConvertTo(tag, sums[t][0]), left);
      const Vec second = hn::Mul(hn::ConvertTo(tag, sums[t][1]), right);
      hn::Store(hn::MulAdd(first, scale, hn::Load(tag, to)), tag, to);
      hn::Store(hn::MulAdd(second, scale, hn::Load(tag, to + kWidth)), tag, to + kWidth);
    }
  }
PITH_UNROLLED
  for (size_t t = 0; t < kRows; ++t) {
    for (size_t v = 0; v < kPanel; v += kWidth) {
      hn::StoreU(hn::Load(tag, held + t * kPanel + v), tag, y + t * y_stride + v);
    }
  }
}

template <bool kHasWordSums>
HWY_INLINE void SumsOf(
    size_t rows, const PithNarrowRows &x, size_t row, const Panel &panel, float *y,
    size_t y_stride, bool adds) {
  if (rows == kTall) {
    Sums<kHasWordSums, kTall>(x, row, panel, y, y_stride, adds);
    return;
  }
  for (; rows >= 4; rows -= 4, row += 4, y += 4 * y_stride) {
    Sums<kHasWordSums, 4>(x, row, panel, y, y_stride, adds);
  }
  for (; rows > 0; --rows, ++row, y += y_stride) {
    Sums<kHasWordSums, 1>(x, row, panel, y, y_stride, adds);
  }
}

template <bool kHasWordSums>
void Multiply(
    const int32_t *panels, const float *scales, size_t rows, size_t columns, size_t chunk,
    const PithNarrowRows &x, float *y, size_t y_stride, bool adds) {
  HWY_ALIGN float edge[kTall * kPanel];
  for (size_t t = 0; t < x.rows; t += kTall) {
    const size_t tall = x.rows - t < kTall ? x.rows - t : kTall;
    for (size_t r = 0; r < rows; r += kPanel) {
      const size_t wide = rows - r < kPanel ? rows - r : kPanel;
      const Panel panel = {
          panels + r * columns / 2, scales + r * (columns / chunk), columns, chunk};
      float *to = y + t * y_stride + r;
      if (wide == kPanel) {
        SumsOf<kHasWordSums>(tall, x, t, panel, to, y_stride, adds);
        continue;
      }
      for (size_t i = 0; i < tall && adds; ++i) {
        for (size_t k = 0; k < kPanel; ++k) {
          edge[i * kPanel + k] = k < wide ? to[i * y_stride + k] : 0.0f;
        }
      }
      SumsOf<kHasWordSums>(tall, x, t, panel, edge, kPanel, adds);
      for (size_t i = 0; i < tall; ++i) {
        for (size_t k = 0; k < wide; ++k) to[i * y_stride + k] = edge[i * kPanel + k];
      }
    }
  }
}

}  // namespace

void NarrowProduct(
    const int32_t *panels, const float *scales, size_t rows, size_t columns, size_t chunk,
    const PithNarrowRows &x, float *y, size_t y_stride, int adds) {
  const auto multiply =
      HWY_TARGET == HWY_AVX3 && HasWordSums() ? Multiply<true> : Multiply<false>;
  multiply(panels, scales, rows, columns, chunk, x, y, y_stride, adds != 0);
}

#else

void NarrowProduct(
    const int32_t *panels, const float *scales, size_t rows, size_t columns, size_t chunk,
    const PithNarrowRows &x, float *y, size_t y_stride, int adds) {
  pith_narrow_product_reference(
      panels, scales, rows, columns, chunk, x, y, y_stride, adds, kPanel);
}

#endif

// By AVX2 16-bit products take an instruction to multiply and one to add, and win nothing.
int NarrowSuits() { return HWY_TARGET == HWY_AVX3 ? 1 : 0; }

}  // namespace HWY_NAMESPACE
}  // namespace pith
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pith {
extern "C" {

int pith_narrow_suits(void) { return PITH_DISPATCH(NarrowSuits)(); }

void pith_narrow_product(
    const int32_t *panels, const float *scales, size_t rows, size_t columns, size_t chunk,
    PithNarrowRows x, float *y, size_t y_stride, int adds) {
  PITH_DISPATCH(NarrowProduct)(
      panels, scales, rows, columns, chunk, x, y, y_stride, adds);
}
}
}  // namespace pith
#endif
