// Products through 16-bit fixed point (PithFixed.h).
//
// Highway 1.0.3 has no product of 16-bit pairs that adds in 32 bits in one instruction, so these are intrinsics of one
// instruction set behind a check at run time; elsewhere callers take f32 products instead.
#include "include/PithFixed.h"

#include <math.h>
#include <string.h>

#include "target.h"

namespace {

constexpr size_t kBlock = PITH_FIXED_BLOCK;
constexpr size_t kStrip = PITH_FIXED_STRIP;
constexpr size_t kPairs = kBlock / 2;
constexpr size_t kPanel = PITH_FIXED_PANEL;
/// The largest number that is stored, and the largest norm: 45,000 and what rounding adds, squared,
/// stay below 2^31.
constexpr float kTop = 32767.0f, kNorm = 45000.0f;
constexpr float kLeast = 0x1p-126f, kMost = 0x1.fffffep127f;

/// Where a lane's first pair lies in a block.
inline size_t Place(size_t lane, size_t side) { return lane / side * side * kPairs + lane % side; }

}  // namespace

#if defined(__x86_64__)
#include <immintrin.h>
#define PITH_FIXED __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")))

namespace pith {
namespace {


PITH_FIXED inline __mmask16 Head(size_t count) {
  return count >= 16 ? (__mmask16)0xFFFF : (__mmask16)((1u << count) - 1);
}

/// Sixteen lanes of one block.
PITH_FIXED void PackLanes(const float *from, size_t stride, size_t rows, __mmask16 mask, size_t side,
                          uint32_t *to, float *scale) {
  const __m512 sign = _mm512_castsi512_ps(_mm512_set1_epi32(0x7FFFFFFF));
  __m512 largest = _mm512_setzero_ps();
  __mmask16 bad = 0;
  for (size_t row = 0; row < rows; ++row) {
    const __m512 x = _mm512_and_ps(_mm512_maskz_loadu_ps(mask, from + row * stride), sign);
    bad = (__mmask16)(bad | _mm512_cmp_ps_mask(x, _mm512_set1_ps(kMost), _CMP_NLE_UQ));
    largest = _mm512_max_ps(largest, x);
  }
  const __mmask16 some =
      _mm512_mask_cmp_ps_mask((__mmask16)~bad, largest, _mm512_set1_ps(kLeast), _CMP_GE_OQ);
  const __m512 inverse = _mm512_maskz_div_ps(some, _mm512_set1_ps(1), largest);
  __m512 squares = _mm512_setzero_ps();
  for (size_t row = 0; row < rows; ++row) {
    const __m512 x = _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, from + row * stride), inverse);
    squares = _mm512_fmadd_ps(x, x, squares);
  }
  // Steps to the largest: as many as either limit allows.
  const __m512 steps = _mm512_min_ps(
      _mm512_set1_ps(kTop), _mm512_div_ps(_mm512_set1_ps(kNorm), _mm512_sqrt_ps(squares)));
  const __m512 factor = _mm512_maskz_mul_ps(some, inverse, steps);
  __m512 own = _mm512_maskz_div_ps(some, largest, steps);
  own = _mm512_mask_mov_ps(own, bad, _mm512_set1_ps(NAN));
  _mm512_storeu_ps(scale, own);
  for (size_t pair = 0; pair < kPairs; ++pair) {
    const size_t row = 2 * pair;
    const __m512 a = row < rows ? _mm512_maskz_loadu_ps(mask, from + row * stride) : _mm512_setzero_ps();
    const __m512 b =
        row + 1 < rows ? _mm512_maskz_loadu_ps(mask, from + (row + 1) * stride) : _mm512_setzero_ps();
    const __m512i low = _mm512_cvtps_epi32(_mm512_mul_ps(a, factor));
    const __m512i high = _mm512_cvtps_epi32(_mm512_mul_ps(b, factor));
    const __m512i both = _mm512_mask_blend_epi16(0xAAAAAAAAu, low, _mm512_slli_epi32(high, 16));
    if (side == kPanel) {
      _mm256_storeu_si256((__m256i *)(to + pair * kPanel), _mm512_castsi512_si256(both));
      _mm256_storeu_si256((__m256i *)(to + (kPairs + pair) * kPanel),
                          _mm512_extracti64x4_epi64(both, 1));
    } else {
      _mm512_storeu_si512(to + pair * kStrip, both);
    }
  }
}

PITH_FIXED void Pack(const float *matrix, size_t stride, size_t rows, size_t lanes, size_t side,
                     uint32_t *pairs, float *scales) {
  const size_t strips = pith_fixed_strips(lanes);
  for (size_t start = 0; start < rows; start += kBlock) {
    const size_t count = rows - start < kBlock ? rows - start : kBlock;
    for (size_t lane = 0; lane < strips * kStrip; lane += 16) {
      const __mmask16 mask = lane < lanes ? Head(lanes - lane) : (__mmask16)0;
      PackLanes(matrix + start * stride + (mask ? lane : 0), stride, count, mask, side,
                pairs + Place(lane, side), scales + lane);
    }
    pairs += strips * kStrip * kPairs;
    scales += strips * kStrip;
  }
}

/// One lane's sums of a block, in its own steps and those of sixteen lanes.
PITH_FIXED inline void Add(__m512i sums, __m512 scale, __m512 others, bool adds, float *to) {
  const __m512 share = _mm512_mul_ps(_mm512_cvtepi32_ps(sums), others);
  const __m512 before = adds ? _mm512_loadu_ps(to) : _mm512_setzero_ps();
  _mm512_storeu_ps(to, _mm512_fmadd_ps(share, scale, before));
}

/// The first `kCount` lanes of a panel of the left operand by a strip of the right one, over one block.
template <size_t kCount>
PITH_FIXED inline void Tile(const uint32_t *left, const float *left_scales, const uint32_t *right,
                            const float *right_scales, float *result, size_t stride, bool adds) {
  __m512i sums[kCount][2];
#pragma clang loop unroll(full)
  for (size_t row = 0; row < kCount; ++row) sums[row][0] = sums[row][1] = _mm512_setzero_si512();
  for (size_t pair = 0; pair < kPairs; ++pair) {
    const __m512i a = _mm512_loadu_si512(right + pair * kStrip);
    const __m512i b = _mm512_loadu_si512(right + pair * kStrip + 16);
    const uint32_t *at = left + pair * kPanel;
#pragma clang loop unroll(full)
    for (size_t row = 0; row < kCount; ++row) {
      const __m512i both = _mm512_set1_epi32((int)at[row]);
      sums[row][0] = _mm512_dpwssd_epi32(sums[row][0], both, a);
      sums[row][1] = _mm512_dpwssd_epi32(sums[row][1], both, b);
    }
  }
  const __m512 first = _mm512_loadu_ps(right_scales), second = _mm512_loadu_ps(right_scales + 16);
#pragma clang loop unroll(full)
  for (size_t row = 0; row < kCount; ++row) {
    const __m512 scale = _mm512_set1_ps(left_scales[row]);
    Add(sums[row][0], scale, first, adds, result + row * stride);
    Add(sums[row][1], scale, second, adds, result + row * stride + 16);
  }
}

PITH_FIXED void Multiply(const PithFixed &left, const PithFixed &right, size_t blocks, float *result,
                         size_t stride) {
  const size_t left_strips = pith_fixed_strips(left.lanes);
  const size_t right_strips = pith_fixed_strips(right.lanes);
  for (size_t place = 0; place < blocks * right_strips; ++place) {
    const size_t block = place / right_strips;
    const uint32_t *cell = right.pairs + place * kStrip * kPairs;
    const float *scales = right.scales + place * kStrip;
    for (size_t lane = 0; lane < left.lanes; lane += kPanel) {
      const size_t own = block * left_strips * kStrip + lane;
      const uint32_t *from = left.pairs + own * kPairs;
      float *to = result + lane * stride + place % right_strips * kStrip;
      const auto run = [&](auto tile) {
        tile(from, left.scales + own, cell, scales, to, stride, block > 0);
      };
      switch (left.lanes - lane < kPanel ? left.lanes - lane : kPanel) {
        case 1: run(Tile<1>); break;
        case 2: run(Tile<2>); break;
        case 3: run(Tile<3>); break;
        case 4: run(Tile<4>); break;
        case 5: run(Tile<5>); break;
        case 6: run(Tile<6>); break;
        case 7: run(Tile<7>); break;
        default: run(Tile<8>); break;
      }
    }
  }
}

}  // namespace
}  // namespace pith
#endif

extern "C" {

int pith_fixed_products_available(void) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  return pith::ChosenTarget() == pith::kTargets - 1 && __builtin_cpu_supports("avx512vnni") ? 1 : 0;
#else
  return 0;
#endif
}

void pith_fixed_pack_reference(const float *matrix, size_t stride, size_t rows, size_t lanes, size_t side,
                               uint32_t *pairs, float *scales) {
  const size_t strips = pith_fixed_strips(lanes);
  for (size_t start = 0; start < rows; start += kBlock) {
    const size_t count = rows - start < kBlock ? rows - start : kBlock;
    for (size_t lane = 0; lane < strips * kStrip; ++lane) {
      const float *from = matrix + start * stride + lane;
      uint32_t *to = pairs + Place(lane, side);
      float largest = 0, squares = 0;
      bool bad = false;
      for (size_t row = 0; lane < lanes && row < count; ++row) {
        const float x = fabsf(from[row * stride]);
        bad = bad || !(x <= kMost);
        if (x > largest) largest = x;
      }
      const bool some = !bad && largest >= kLeast;
      const float inverse = some ? 1 / largest : 0;
      for (size_t row = 0; lane < lanes && row < count; ++row) {
        const float x = from[row * stride] * inverse;
        squares = fmaf(x, x, squares);
      }
      const float steps = fminf(kTop, kNorm / sqrtf(squares));
      const float factor = some ? inverse * steps : 0;
      scales[lane] = bad ? NAN : some ? largest / steps : 0;
      for (size_t pair = 0; pair < kPairs; ++pair) {
        uint32_t both = 0;
        for (size_t half = 0; half < 2; ++half) {
          const size_t row = 2 * pair + half;
          const float x = lane < lanes && row < count ? from[row * stride] * factor : 0;
          // What is not finite has no factor but a scale that says so.
          const int32_t whole = some ? (int32_t)nearbyintf(x) : 0;
          both |= ((uint32_t)whole & 0xFFFFu) << (16 * half);
        }
        to[pair * side] = both;
      }
    }
    pairs += strips * kStrip * kPairs;
    scales += strips * kStrip;
  }
}

void pith_fixed_multiply_reference(PithFixed left, PithFixed right, size_t blocks, float *result,
                                   size_t stride) {
  const size_t left_strips = pith_fixed_strips(left.lanes);
  const size_t right_strips = pith_fixed_strips(right.lanes);
  for (size_t lane = 0; lane < left.lanes; ++lane) {
    for (size_t other = 0; other < right.lanes; ++other) {
      float total = 0;
      for (size_t block = 0; block < blocks; ++block) {
        const size_t own = block * left_strips * kStrip + lane;
        const size_t beside = block * right_strips * kStrip + other;
        const uint32_t *a = left.pairs + Place(own, kPanel);
        const uint32_t *b = right.pairs + Place(beside, kStrip);
        uint32_t sum = 0;
        for (size_t pair = 0; pair < kPairs; ++pair) {
          const uint32_t x = a[pair * kPanel], y = b[pair * kStrip];
          sum += (uint32_t)((int16_t)(x & 0xFFFF) * (int16_t)(y & 0xFFFF));
          sum += (uint32_t)((int16_t)(x >> 16) * (int16_t)(y >> 16));
        }
        const float share = (float)(int32_t)sum * right.scales[beside];
        total = fmaf(share, left.scales[own], total);
      }
      result[lane * stride + other] = total;
    }
  }
}

void pith_fixed_pack(const float *matrix, size_t stride, size_t rows, size_t lanes, size_t side,
                     uint32_t *pairs, float *scales) {
#if defined(__x86_64__)
  if (pith_fixed_products_available()) return pith::Pack(matrix, stride, rows, lanes, side, pairs, scales);
#endif
  pith_fixed_pack_reference(matrix, stride, rows, lanes, side, pairs, scales);
}

void pith_fixed_multiply(PithFixed left, PithFixed right, size_t blocks, float *result, size_t stride) {
#if defined(__x86_64__)
  if (pith_fixed_products_available()) return pith::Multiply(left, right, blocks, result, stride);
#endif
  pith_fixed_multiply_reference(left, right, blocks, result, stride);
}
}
