// Products of a factor with codes through bytes, and of such products with each other through bf16 pairs
// (PithSweep.h); intrinsics for the reason given in fixed_products.cc.
#include <math.h>
#include <string.h>

#include "half_pairs.h"
#include "include/PithFixed.h"
#include "include/PithProducts.h"
#include "include/PithSweep.h"
#include "refit_bytes.h"

namespace {

constexpr size_t kPanel = PITH_REFIT_PANEL;
constexpr size_t kChunk = PITH_SWEEP_LANES;
constexpr size_t kPart = 16;
constexpr size_t kPairs = PITH_REFIT_PAIRS;
/// Groups whose products with others are made together.
constexpr size_t kSide = 4;
constexpr float kTop = 127.0f, kLeast = 0x1p-126f;

/// Rows of one group's part of a panel.
struct Rows {
  const float *factor;
  const int32_t *positions;
  size_t width, column, inside;

  const float *At(size_t row) const {
    return factor + static_cast<size_t>(positions[row]) * width + column;
  }
};

/// -Σ in two halves that 16 bits hold, so that one product of pairs takes zero points off.
uint32_t Halves(int32_t sum) {
  return (static_cast<uint32_t>(-sum) & 0x7Fu) | static_cast<uint32_t>(-sum >> 7) << 16;
}

/// What packing leaves of some panels, one after the other.
struct Packed {
  uint32_t *quads;
  float *scales;
  uint32_t *sums;

  /// Goes on behind a group's part.
  void Advance(size_t count) {
    quads += (count + 3) / 4 * kPanel;
    scales += kPanel;
    sums += kPanel;
  }
};

void PackGroup(const Rows &rows, size_t count, const Packed &to) {
  memset(to.quads, 0, (count + 3) / 4 * kPanel * sizeof *to.quads);
  for (size_t c = 0; c < kPanel; ++c) {
    float largest = 0;
    for (size_t row = 0; c < rows.inside && row < count; ++row) {
      const float x = fabsf(rows.At(row)[c]);
      largest = x > largest ? x : largest;
    }
    const bool some = largest >= kLeast;
    const float factor = some ? kTop / largest : 0;
    int32_t sum = 0;
    for (size_t row = 0; some && row < count; ++row) {
      const int32_t step = static_cast<int32_t>(rintf(rows.At(row)[c] * factor));
      sum += step;
      to.quads[row / 4 * kPanel + c] |= (static_cast<uint32_t>(step) & 0xFFu) << row % 4 * 8;
    }
    to.scales[c] = some ? largest / kTop : 0;
    to.sums[c] = Halves(sum);
  }
}

/// The c-th column's product with one lane.
float Product(const PithRefitBytes &from, size_t c, size_t lane) {
  const uint32_t zero = from.codes[lane], own = from.sums[c];
  uint32_t sum = static_cast<uint32_t>(static_cast<int16_t>(own & 0xFFFF)) * (zero & 0xFFFF) +
                 static_cast<uint32_t>(static_cast<int16_t>(own >> 16)) * (zero >> 16);
  for (size_t quad = 0; quad < from.quads; ++quad) {
    const uint32_t x = from.factor[quad * kPanel + c], y = from.codes[(quad + 1) * kChunk + lane];
    for (uint32_t at = 0; at < 32; at += 8) {
      sum += static_cast<uint32_t>(static_cast<int8_t>(x >> at & 0xFF)) * (y >> at & 0xFF);
    }
  }
  return static_cast<float>(static_cast<int32_t>(sum)) * from.scales[c];
}

}  // namespace

#if defined(__x86_64__)
#include <immintrin.h>
#define PITH_BYTES __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")))
#define PITH_PAIRS __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512bf16")))

namespace pith {
namespace {

/// Rows that are copied before they are rounded: far apart as they lie, they do not stay in the cache for a
/// second reading.
constexpr size_t kRows = 256;

/// A group's part of one panel, or of two side by side: `counts` rows reach into
/// them, those of the second being the first ones of the first's.
PITH_BYTES void PackQuads(const Rows &rows, const size_t (&counts)[2], const Packed (&to)[2]) {
  const __mmask16 mask = static_cast<__mmask16>((1u << rows.inside) - 1);
  float own[kRows][2 * kPanel];
  const size_t count = counts[0];
  __m512 largest = _mm512_setzero_ps();
  for (size_t row = 0; row < count; ++row) {
    const __m512 x = _mm512_maskz_loadu_ps(mask, rows.At(row));
    largest = _mm512_max_ps(largest, _mm512_abs_ps(x));
    if (row < kRows) _mm512_storeu_ps(own[row], x);
  }
  const __mmask16 some = _mm512_cmp_ps_mask(largest, _mm512_set1_ps(kLeast), _CMP_GE_OQ);
  const __m512 factor = _mm512_maskz_div_ps(some, _mm512_set1_ps(kTop), largest);
  const __m512 scales = _mm512_maskz_div_ps(some, largest, _mm512_set1_ps(kTop));
  const __m512i low = _mm512_set1_epi32(0xFF);
  __m512i sum = _mm512_setzero_si512();
  for (size_t row = 0; row < count; row += 4) {
    __m512i quad = _mm512_setzero_si512();
#pragma clang loop unroll(full)
    for (size_t place = 4; place-- > 0;) {
      const size_t at = row + place;
      __m512 x = _mm512_setzero_ps();
      if (at < count) x = at < kRows ? _mm512_loadu_ps(own[at]) : _mm512_maskz_loadu_ps(mask, rows.At(at));
      const __m512i step = _mm512_cvtps_epi32(_mm512_mul_ps(x, factor));
      sum = _mm512_add_epi32(sum, step);
      quad = _mm512_or_si512(_mm512_slli_epi32(quad, 8), _mm512_and_si512(step, low));
    }
    uint32_t *first = to[0].quads + row / 4 * kPanel, *second = to[1].quads + row / 4 * kPanel;
    _mm256_storeu_si256(reinterpret_cast<__m256i *>(first), _mm512_castsi512_si256(quad));
    // Rows that do not reach into the second panel are zeros there.
    if (row < counts[1]) {
      _mm256_storeu_si256(reinterpret_cast<__m256i *>(second), _mm512_extracti64x4_epi64(quad, 1));
    }
  }
  sum = _mm512_sub_epi32(_mm512_setzero_si512(), sum);
  const __m512i halves = _mm512_or_si512(_mm512_and_si512(sum, _mm512_set1_epi32(0x7F)),
                                         _mm512_slli_epi32(_mm512_srai_epi32(sum, 7), 16));
  _mm256_storeu_ps(to[0].scales, _mm512_castps512_ps256(scales));
  _mm256_storeu_si256(reinterpret_cast<__m256i *>(to[0].sums), _mm512_castsi512_si256(halves));
  if (rows.inside <= kPanel) return;
  _mm256_storeu_ps(to[1].scales, _mm512_extractf32x8_ps(scales, 1));
  _mm256_storeu_si256(reinterpret_cast<__m256i *>(to[1].sums), _mm512_extracti64x4_epi64(halves, 1));
}

/// Two panels at a time, whose rows lie in the same lines of the cache.
PITH_BYTES void Pack(const float *factor, size_t width, const int32_t *positions, size_t members,
                     size_t first, size_t count, const int32_t *counts, Packed packed) {
  const size_t groups = width / members;
  for (size_t panel = first; panel < first + count; panel += 2, counts += 2 * groups) {
    const bool both = panel + 1 < first + count;
    const size_t column = panel * kPanel, most = both ? 2 * kPanel : kPanel;
    const size_t inside = width - column < most ? width - column : most;
    Packed to[2] = {packed, packed};
    for (size_t group = 0; group < groups; ++group) to[1].Advance(static_cast<size_t>(counts[group]));
    for (size_t group = 0; group < groups; ++group) {
      const size_t above[2] = {static_cast<size_t>(counts[group]),
                               both ? static_cast<size_t>(counts[groups + group]) : 0};
      PackQuads({factor, positions + group * members, width, column, inside}, above, to);
      to[0].Advance(above[0]);
      if (both) to[1].Advance(above[1]);
    }
    packed = to[1];
  }
}

/// Sums of one group's part of a panel with the chunk's lanes.
PITH_BYTES inline __attribute__((always_inline)) void Sum(const PithRefitBytes &from,
                                                          __m512i (&sums)[kPanel][2]) {
  const uint32_t *factor = from.factor, *codes = from.codes;
  const __m512i zero[2] = {_mm512_loadu_si512(codes), _mm512_loadu_si512(codes + kPart)};
#pragma clang loop unroll(full)
  for (size_t c = 0; c < kPanel; ++c) {
    const __m512i own = _mm512_set1_epi32(static_cast<int>(from.sums[c]));
    sums[c][0] = _mm512_madd_epi16(own, zero[0]);
    sums[c][1] = _mm512_madd_epi16(own, zero[1]);
  }
  for (size_t quad = 0; quad < from.quads; ++quad) {
    codes += kChunk;
    const __m512i a = _mm512_loadu_si512(codes);
    const __m512i b = _mm512_loadu_si512(codes + kPart);
#pragma clang loop unroll(full)
    for (size_t c = 0; c < kPanel; ++c) {
      const __m512i both = _mm512_set1_epi32(static_cast<int>(factor[c]));
      sums[c][0] = _mm512_dpbusd_epi32(sums[c][0], a, both);
      sums[c][1] = _mm512_dpbusd_epi32(sums[c][1], b, both);
    }
    // The next group's rows of the panel lie behind this one's.
    _mm_prefetch(reinterpret_cast<const char *>(factor + from.quads * kPanel), _MM_HINT_T0);
    factor += kPanel;
  }
}

PITH_BYTES inline __m512 Scaled(__m512i sums, float scale) {
  return _mm512_mul_ps(_mm512_cvtepi32_ps(sums), _mm512_set1_ps(scale));
}

PITH_BYTES void Product(const PithRefitBytes &from, float *result, size_t step) {
  __m512i sums[kPanel][2];
  Sum(from, sums);
#pragma clang loop unroll(full)
  for (size_t c = 0; c < kPanel; ++c) {
    _mm512_storeu_ps(result + c * kPart, Scaled(sums[c][0], from.scales[c]));
    _mm512_storeu_ps(result + step + c * kPart, Scaled(sums[c][1], from.scales[c]));
  }
}

PITH_PAIRS void ProductPairs(const PithRefitBytes &from, uint32_t *result, size_t step) {
  __m512i sums[kPanel][2];
  Sum(from, sums);
  // From sixteen of one column beside sixteen of the next to one of each beside the other.
  const __m512i places = _mm512_or_si512(
      _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
      _mm512_slli_epi32(
          _mm512_set_epi32(31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16), 16));
#pragma clang loop unroll(full)
  for (size_t c = 0; c < kPanel; c += 2) {
#pragma clang loop unroll(full)
    for (size_t part = 0; part < 2; ++part) {
      const __m512i both = reinterpret_cast<__m512i>(
          _mm512_cvtne2ps_pbh(Scaled(sums[c + 1][part], from.scales[c + 1]),
                              Scaled(sums[c][part], from.scales[c])));
      _mm512_storeu_si512(result + part * step + c / 2 * kPart,
                          _mm512_permutexvar_epi16(places, both));
    }
  }
}

/// Four lines by four; of a square on the diagonal the upper half, and the right side.
template <bool kIsDiagonal>
PITH_PAIRS void Outer(const uint32_t *first, const uint32_t *second, const uint32_t *residuals,
                      size_t padded, float *left, float *right) {
  constexpr size_t kLine = kPairs * kPart;
  __m512 sums[kSide][kSide], sides[kSide];
#pragma clang loop unroll(full)
  for (size_t i = 0; i < kSide; ++i) {
#pragma clang loop unroll(full)
    for (size_t j = kIsDiagonal ? i : 0; j < kSide; ++j) {
      sums[i][j] = _mm512_loadu_ps(left + (i * padded + j) * kChunk);
    }
    if (kIsDiagonal) sides[i] = _mm512_loadu_ps(right + i * kChunk);
  }
  for (size_t pair = 0; pair < kPairs; ++pair) {
    __m512bh own[kSide];
#pragma clang loop unroll(full)
    for (size_t i = 0; i < kSide; ++i) {
      own[i] = (__m512bh)_mm512_loadu_si512(first + i * kLine + pair * kPart);
    }
#pragma clang loop unroll(full)
    for (size_t j = 0; j < kSide; ++j) {
      const __m512bh other =
          kIsDiagonal ? own[j] : (__m512bh)_mm512_loadu_si512(second + j * kLine + pair * kPart);
#pragma clang loop unroll(full)
      for (size_t i = 0; i < kSide; ++i) {
        if (!kIsDiagonal || i <= j) sums[i][j] = _mm512_dpbf16_ps(sums[i][j], own[i], other);
      }
    }
    if (kIsDiagonal) {
      const __m512bh rest = (__m512bh)_mm512_loadu_si512(residuals + pair * kPart);
#pragma clang loop unroll(full)
      for (size_t i = 0; i < kSide; ++i) sides[i] = _mm512_dpbf16_ps(sides[i], own[i], rest);
    }
  }
#pragma clang loop unroll(full)
  for (size_t i = 0; i < kSide; ++i) {
#pragma clang loop unroll(full)
    for (size_t j = kIsDiagonal ? i : 0; j < kSide; ++j) {
      _mm512_storeu_ps(left + (i * padded + j) * kChunk, sums[i][j]);
    }
    if (kIsDiagonal) _mm512_storeu_ps(right + i * kChunk, sides[i]);
  }
}

}  // namespace
}  // namespace pith
#endif

extern "C" {

void pith_refit_pack_bytes_reference(const float *factor, size_t width, const int32_t *positions,
                                     size_t members, size_t first, size_t count, const int32_t *counts,
                                     uint32_t *quads, float *scales, uint32_t *sums) {
  const size_t groups = width / members;
  Packed to = {quads, scales, sums};
  for (size_t panel = first; panel < first + count; ++panel) {
    const size_t column = panel * kPanel;
    const size_t inside = width - column < kPanel ? width - column : kPanel;
    for (size_t group = 0; group < groups; ++group) {
      const size_t above = static_cast<size_t>(*counts++);
      PackGroup({factor, positions + group * members, width, column, inside}, above, to);
      to.Advance(above);
    }
  }
}

void pith_refit_pack_bytes(const float *factor, size_t width, const int32_t *positions, size_t members,
                           size_t first, size_t count, const int32_t *counts, uint32_t *quads,
                           float *scales, uint32_t *sums) {
#if defined(__x86_64__)
  if (pith_fixed_products_available()) {
    return pith::Pack(factor, width, positions, members, first, count, counts, {quads, scales, sums});
  }
#endif
  pith_refit_pack_bytes_reference(factor, width, positions, members, first, count, counts, quads, scales,
                                  sums);
}

void pith_refit_product_bytes_reference(PithRefitBytes from, float *result, size_t step) {
  for (size_t c = 0; c < kPanel; ++c) {
    for (size_t lane = 0; lane < kChunk; ++lane) {
      result[lane / kPart * step + c * kPart + lane % kPart] = Product(from, c, lane);
    }
  }
}

void pith_refit_product_bytes(PithRefitBytes from, float *result, size_t step) {
  pith::ChosenRefitKernels().bytes(from, result, step);
}

void pith_refit_product_pairs_reference(PithRefitBytes from, uint32_t *result, size_t step) {
  for (size_t c = 0; c < kPanel; c += 2) {
    for (size_t lane = 0; lane < kChunk; ++lane) {
      result[lane / kPart * step + c / 2 * kPart + lane % kPart] =
          pith::Pair(Product(from, c, lane), Product(from, c + 1, lane));
    }
  }
}

void pith_refit_product_pairs(PithRefitBytes from, uint32_t *result, size_t step) {
  pith::ChosenRefitKernels().pairs(from, result, step);
}

void pith_refit_outer_pairs_reference(const uint32_t *first, const uint32_t *second,
                                      const uint32_t *residuals, size_t padded, float *left,
                                      float *right) {
  const auto add = [](const uint32_t *a, const uint32_t *b, float *to) {
    for (size_t at = 0; at < kPairs * kPart; ++at) {
      to[at % kPart] += pith::Widened(a[at] >> 16) * pith::Widened(b[at] >> 16);
      to[at % kPart] += pith::Widened(a[at] & 0xFFFF) * pith::Widened(b[at] & 0xFFFF);
    }
  };
  for (size_t i = 0; i < kSide; ++i) {
    const uint32_t *own = first + i * kPairs * kPart;
    for (size_t j = residuals ? i : 0; j < kSide; ++j) {
      add(own, second + j * kPairs * kPart, left + (i * padded + j) * kChunk);
    }
    if (residuals) add(own, residuals, right + i * kChunk);
  }
}

void pith_refit_outer_pairs(const uint32_t *first, const uint32_t *second, const uint32_t *residuals,
                            size_t padded, float *left, float *right) {
  const size_t kind = residuals ? 1 : 0;
  pith::ChosenRefitKernels().outer[kind](first, second, residuals, padded, left, right);
}
}

namespace pith {

RefitKernels ChosenRefitKernels() {
  RefitKernels kernels = {
      [](const PithRefitBytes &from, float *result, size_t step) {
        pith_refit_product_bytes_reference(from, result, step);
      },
      [](const PithRefitBytes &from, uint32_t *result, size_t step) {
        pith_refit_product_pairs_reference(from, result, step);
      },
      {pith_refit_outer_pairs_reference, pith_refit_outer_pairs_reference}};
#if defined(__x86_64__)
  if (!pith_fixed_products_available()) return kernels;
  kernels.bytes = Product;
  if (!pith_bf16_products_available()) return kernels;
  kernels.pairs = ProductPairs;
  kernels.outer[0] = Outer<false>;
  kernels.outer[1] = Outer<true>;
#endif
  return kernels;
}

}  // namespace pith
