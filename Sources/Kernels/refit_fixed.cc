// Products of a factor with codes through 16-bit fixed point (PithSweep.h); intrinsics for the reason
// given in fixed_products.cc.
#include <math.h>
#include <string.h>

#include "include/PithFixed.h"
#include "include/PithSweep.h"

namespace {

constexpr size_t kPanel = PITH_REFIT_PANEL;
constexpr size_t kChunk = PITH_SWEEP_LANES;
/// Below 2^31 by what rounding can add.
constexpr float kRoom = 2.1e9f, kTop = 32767.0f, kLeast = 0x1p-126f;
/// Rows that are copied together before they are rounded: they lie far apart, and are read twice.
constexpr size_t kRows = 256;

/// Rows of one group's part of a panel.
struct Rows {
  const float *factor;
  const int32_t *positions;
  size_t width, column, inside;

  void Copy(size_t first, size_t count, float (*to)[kPanel]) const {
    for (size_t row = 0; row < count; ++row) {
      const float *from = factor + static_cast<size_t>(positions[first + row]) * width + column;
      if (inside == kPanel) {
        memcpy(to[row], from, sizeof to[row]);
      } else {
        for (size_t c = 0; c < kPanel; ++c) to[row][c] = c < inside ? from[c] : 0;
      }
    }
  }
};

void PackGroup(const Rows &rows, size_t count, float top, uint32_t *pairs, float *scales) {
  float own[kRows][kPanel];
  float largest[kPanel] = {}, squares[kPanel] = {}, factor[kPanel];
  for (size_t start = 0; start < count; start += kRows) {
    const size_t some = count - start < kRows ? count - start : kRows;
    rows.Copy(start, some, own);
    for (size_t row = 0; row < some; ++row) {
      for (size_t c = 0; c < kPanel; ++c) {
        const float x = fabsf(own[row][c]);
        largest[c] = x > largest[c] ? x : largest[c];
        squares[c] += own[row][c] * own[row][c];
      }
    }
  }
  for (size_t c = 0; c < kPanel; ++c) {
    const bool some = largest[c] >= kLeast;
    // A norm of the steps below that of `kRoom`'s share, by Cauchy and Schwarz.
    const float norm = some ? sqrtf(squares[c]) / largest[c] : 1;
    const float room = kRoom / (top * sqrtf(static_cast<float>(count)) * norm);
    const float steps = room < kTop ? room : kTop;
    factor[c] = some ? steps / largest[c] : 0;
    scales[c] = some ? largest[c] / steps : 0;
  }
  for (size_t start = 0; start < count; start += kRows) {
    const size_t some = count - start < kRows ? count - start : kRows;
    if (count > kRows) rows.Copy(start, some, own);
    if (some % 2 != 0) memset(own[some], 0, some < kRows ? sizeof own[some] : 0);
    for (size_t row = 0; row < some; row += 2) {
      for (size_t c = 0; c < kPanel; ++c) {
        const int32_t low = static_cast<int32_t>(rintf(own[row][c] * factor[c]));
        const int32_t high = static_cast<int32_t>(rintf(own[row + 1][c] * factor[c]));
        *pairs++ = (static_cast<uint32_t>(low) & 0xFFFFu) | static_cast<uint32_t>(high) << 16;
      }
    }
  }
}

}  // namespace

#if defined(__x86_64__)
#include <immintrin.h>

namespace pith {
namespace {

__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni"))) void Product(
    const uint32_t *factor, const float *scales, const uint32_t *steps, size_t pairs, float *result) {
  __m512i sums[kPanel][2];
#pragma clang loop unroll(full)
  for (size_t c = 0; c < kPanel; ++c) sums[c][0] = sums[c][1] = _mm512_setzero_si512();
  for (size_t pair = 0; pair < pairs; ++pair) {
    const __m512i a = _mm512_loadu_si512(steps + pair * kChunk);
    const __m512i b = _mm512_loadu_si512(steps + pair * kChunk + 16);
#pragma clang loop unroll(full)
    for (size_t c = 0; c < kPanel; ++c) {
      const __m512i both = _mm512_set1_epi32(static_cast<int>(factor[pair * kPanel + c]));
      sums[c][0] = _mm512_dpwssd_epi32(sums[c][0], both, a);
      sums[c][1] = _mm512_dpwssd_epi32(sums[c][1], both, b);
    }
  }
#pragma clang loop unroll(full)
  for (size_t c = 0; c < kPanel; ++c) {
    const __m512 scale = _mm512_set1_ps(scales[c]);
    _mm512_storeu_ps(result + c * kChunk, _mm512_mul_ps(_mm512_cvtepi32_ps(sums[c][0]), scale));
    _mm512_storeu_ps(result + c * kChunk + 16, _mm512_mul_ps(_mm512_cvtepi32_ps(sums[c][1]), scale));
  }
}

}  // namespace
}  // namespace pith
#endif

extern "C" {

void pith_refit_pack_fixed(const float *factor, size_t width, const int32_t *positions, size_t members,
                           size_t first, size_t count, const int32_t *counts, int32_t top,
                           uint32_t *pairs, float *scales) {
  const size_t groups = width / members;
  for (size_t panel = first; panel < first + count; ++panel) {
    const size_t column = panel * kPanel;
    const size_t inside = width - column < kPanel ? width - column : kPanel;
    for (size_t group = 0; group < groups; ++group) {
      const size_t above = static_cast<size_t>(*counts++);
      PackGroup({factor, positions + group * members, width, column, inside}, above,
                static_cast<float>(top), pairs, scales);
      pairs += (above + 1) / 2 * kPanel;
      scales += kPanel;
    }
  }
}

void pith_refit_product_fixed_reference(const uint32_t *factor, const float *scales,
                                        const uint32_t *steps, size_t pairs, float *result) {
  for (size_t c = 0; c < kPanel; ++c) {
    for (size_t lane = 0; lane < kChunk; ++lane) {
      uint32_t sum = 0;
      for (size_t pair = 0; pair < pairs; ++pair) {
        const uint32_t x = factor[pair * kPanel + c], y = steps[pair * kChunk + lane];
        sum += static_cast<uint32_t>(static_cast<int16_t>(x & 0xFFFF) * static_cast<int16_t>(y & 0xFFFF));
        sum += static_cast<uint32_t>(static_cast<int16_t>(x >> 16) * static_cast<int16_t>(y >> 16));
      }
      result[c * kChunk + lane] = static_cast<float>(static_cast<int32_t>(sum)) * scales[c];
    }
  }
}

void pith_refit_product_fixed(const uint32_t *factor, const float *scales, const uint32_t *steps,
                              size_t pairs, float *result) {
#if defined(__x86_64__)
  if (pith_fixed_products_available()) return pith::Product(factor, scales, steps, pairs, result);
#endif
  pith_refit_product_fixed_reference(factor, scales, steps, pairs, result);
}
}
