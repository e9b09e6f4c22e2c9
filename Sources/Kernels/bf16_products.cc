// Products through bf16 pairs (PithProducts.h).
//
// Highway 1.0.3 has no bf16 dot product for x86, so these are intrinsics of one instruction set behind a
// check at run time; elsewhere the twins stand in, and callers take f32 products instead.
#include "include/PithProducts.h"

#include "half_pairs.h"
#include "include/PithKernels.h"
#include "target.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define PITH_BF16 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")))

namespace pith {
namespace {

/// Pairs summed before the sums go back to memory: a chunk of 32 columns of the block stays in the
/// first-level cache while rows pass by.
constexpr size_t kChunk = 256;
constexpr size_t kTileRows = 8;
constexpr size_t kTileColumns = 32;
/// Rows that are packed together, so that each of their cache lines is read once.
constexpr size_t kPackedPairs = 16;

/// Pairs of the same place in two rows.
PITH_BF16 inline __m512i Pairs(__m256i first, __m256i second) {
  return _mm512_or_si512(_mm512_cvtepu16_epi32(first),
                         _mm512_slli_epi32(_mm512_cvtepu16_epi32(second), 16));
}

PITH_BF16 inline __mmask16 Head(size_t count) {
  return count >= 16 ? (__mmask16)0xFFFF : (__mmask16)((1u << count) - 1);
}

/// One row's part of a strip of 32 columns: its halves, and their squares added up.
struct Run {
  __m256i first, second;
};

PITH_BF16 inline Run Rounded(const float *from, __mmask16 head, __mmask16 tail, uint32_t *lying,
                             __mmask16 pairs, __m512 *squares) {
  const __m512 a = _mm512_maskz_loadu_ps(head, from);
  const __m512 b = tail ? _mm512_maskz_loadu_ps(tail, from + 16) : _mm512_setzero_ps();
  squares[0] = _mm512_fmadd_ps(a, a, squares[0]);
  squares[1] = _mm512_fmadd_ps(b, b, squares[1]);
  const Run run = {(__m256i)_mm512_cvtneps_pbh(a), (__m256i)_mm512_cvtneps_pbh(b)};
  const __m512i both = _mm512_inserti64x4(_mm512_castsi256_si512(run.first), run.second, 1);
  _mm512_mask_storeu_epi32(lying, pairs, both);
  return run;
}

PITH_BF16 double Pack(const float *matrix, size_t rows, size_t columns, uint32_t *lying,
                      uint32_t *panels) {
  const size_t depth = (rows + 1) / 2;
  const size_t length = (columns + 1) / 2;
  double sum = 0;
  for (size_t start = 0; start < depth; start += kPackedPairs) {
    const size_t end = start + kPackedPairs < depth ? start + kPackedPairs : depth;
    // Few enough squares to be added in f32.
    __m512 squares[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
    for (size_t column = 0; column < columns; column += 32) {
      const size_t left = columns - column;
      const __mmask16 head = Head(left);
      const __mmask16 tail = left > 16 ? Head(left - 16) : (__mmask16)0;
      const __mmask16 pairs = Head((left + 1) / 2);
      uint32_t *to = panels + column * depth;
      for (size_t pair = start; pair < end; ++pair) {
        const size_t row = 2 * pair;
        const float *from = matrix + row * columns + column;
        uint32_t *flat = lying + row * length + column / 2;
        const Run first = Rounded(from, head, tail, flat, pairs, squares);
        Run second = {_mm256_setzero_si256(), _mm256_setzero_si256()};
        if (row + 1 < rows) {
          second = Rounded(from + columns, head, tail, flat + length, pairs, squares);
        }
        uint32_t *place = to + pair * PITH_PAIR_PANEL;
        _mm512_storeu_si512(place, Pairs(first.first, second.first));
        if (tail) {
          _mm512_storeu_si512(place + depth * PITH_PAIR_PANEL, Pairs(first.second, second.second));
        }
      }
    }
    sum += (double)_mm512_reduce_add_ps(_mm512_add_ps(squares[0], squares[1]));
  }
  return sum;
}

PITH_BF16 void Block(const float *block, size_t rows, size_t columns, size_t width, uint32_t *pairs) {
  for (size_t row = 0; row < rows; row += 2) {
    const float *from = block + row * columns;
    uint32_t *to = pairs + row / 2 * width;
    for (size_t column = 0; column < width; column += 16) {
      const __mmask16 mask = column < columns ? Head(columns - column) : (__mmask16)0;
      const __m512 first = _mm512_maskz_loadu_ps(mask, from + column);
      const __m512 second = row + 1 < rows ? _mm512_maskz_loadu_ps(mask, from + columns + column)
                                           : _mm512_setzero_ps();
      _mm512_storeu_si512(to + column, Pairs((__m256i)_mm512_cvtneps_pbh(first),
                                             (__m256i)_mm512_cvtneps_pbh(second)));
    }
  }
}

/// `kRows` rows of one panel times `kVectors` · 16 columns of the block, the last of them masked.
template <size_t kRows, size_t kVectors>
PITH_BF16 inline void Tile(const uint32_t *left, const PithPairs &steps, size_t depth,
                           const uint32_t *block, size_t width, float *result, size_t stride,
                           __mmask16 last, bool adds) {
  __m512 sums[kRows][kVectors];
#pragma clang loop unroll(full)
  for (size_t row = 0; row < kRows; ++row) {
#pragma clang loop unroll(full)
    for (size_t vector = 0; vector < kVectors; ++vector) {
      const __mmask16 mask = vector + 1 == kVectors ? last : (__mmask16)0xFFFF;
      sums[row][vector] = adds ? _mm512_maskz_loadu_ps(mask, result + row * stride + vector * 16)
                               : _mm512_setzero_ps();
    }
  }
  for (size_t pair = 0; pair < depth; ++pair) {
    __m512bh right[kVectors];
#pragma clang loop unroll(full)
    for (size_t vector = 0; vector < kVectors; ++vector) {
      right[vector] = (__m512bh)_mm512_loadu_si512(block + pair * width + vector * 16);
    }
    const uint32_t *at = left + pair * steps.pair_step;
#pragma clang loop unroll(full)
    for (size_t row = 0; row < kRows; ++row) {
      const __m512bh both = (__m512bh)_mm512_set1_epi32((int)at[row * steps.row_step]);
#pragma clang loop unroll(full)
      for (size_t vector = 0; vector < kVectors; ++vector) {
        sums[row][vector] = _mm512_dpbf16_ps(sums[row][vector], both, right[vector]);
      }
    }
  }
#pragma clang loop unroll(full)
  for (size_t row = 0; row < kRows; ++row) {
#pragma clang loop unroll(full)
    for (size_t vector = 0; vector < kVectors; ++vector) {
      const __mmask16 mask = vector + 1 == kVectors ? last : (__mmask16)0xFFFF;
      _mm512_mask_storeu_ps(result + row * stride + vector * 16, mask, sums[row][vector]);
    }
  }
}

template <size_t kVectors>
PITH_BF16 void Columns(const PithPairs &left, size_t first, size_t count, size_t start, size_t depth,
                       const uint32_t *block, size_t width, float *result, size_t stride,
                       __mmask16 last) {
  for (size_t row = 0; row < count; row += kTileRows) {
    const size_t place = first + row;
    const uint32_t *at = left.pairs + place / PITH_PAIR_PANEL * left.panel_step +
                         place % PITH_PAIR_PANEL * left.row_step + start * left.pair_step;
    float *to = result + row * stride;
    const auto run = [&](auto tile) { tile(at, left, depth, block, width, to, stride, last, start > 0); };
    switch (count - row < kTileRows ? count - row : kTileRows) {
      case 1: run(Tile<1, kVectors>); break;
      case 2: run(Tile<2, kVectors>); break;
      case 3: run(Tile<3, kVectors>); break;
      case 4: run(Tile<4, kVectors>); break;
      case 5: run(Tile<5, kVectors>); break;
      case 6: run(Tile<6, kVectors>); break;
      case 7: run(Tile<7, kVectors>); break;
      default: run(Tile<8, kVectors>); break;
    }
  }
}

PITH_BF16 void Multiply(const PithPairs &left, size_t first, size_t count, size_t depth,
                        const uint32_t *block, size_t width, size_t columns, float *result,
                        size_t stride) {
  for (size_t start = 0; start < depth; start += kChunk) {
    const size_t pairs = depth - start < kChunk ? depth - start : kChunk;
    for (size_t column = 0; column < columns; column += kTileColumns) {
      const uint32_t *right = block + start * width + column;
      const size_t rest = columns - column;
      if (rest > 16) {
        Columns<2>(left, first, count, start, pairs, right, width, result + column, stride,
                   Head(rest - 16));
      } else {
        Columns<1>(left, first, count, start, pairs, right, width, result + column, stride, Head(rest));
      }
    }
  }
}

}  // namespace
}  // namespace pith
#endif

extern "C" {

int pith_bf16_products_available(void) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  return pith::ChosenTarget() == pith::kTargets - 1 && __builtin_cpu_supports("avx512bf16") ? 1 : 0;
#else
  return 0;
#endif
}

double pith_bf16_pack_reference(const float *matrix, size_t rows, size_t columns, uint32_t *lying,
                                uint32_t *panels) {
  for (size_t row = 0; row < rows; ++row) {
    const float *from = matrix + row * columns;
    for (size_t i = 0; i < columns; i += 2) {
      *lying++ = pith::Pair(from[i], i + 1 < columns ? from[i + 1] : 0);
    }
  }
  for (size_t panel = 0; panel < columns; panel += PITH_PAIR_PANEL) {
    for (size_t row = 0; row < rows; row += 2) {
      for (size_t column = panel; column < panel + PITH_PAIR_PANEL; ++column) {
        const float *from = matrix + row * columns + column;
        const bool inside = column < columns;
        *panels++ = pith::Pair(inside ? from[0] : 0, inside && row + 1 < rows ? from[columns] : 0);
      }
    }
  }
  double sum = 0;
  for (size_t i = 0; i < rows * columns; ++i) sum += (double)(matrix[i] * matrix[i]);
  return sum;
}

void pith_bf16_block_reference(const float *block, size_t rows, size_t columns, size_t width,
                               uint32_t *pairs) {
  for (size_t row = 0; row < rows; row += 2) {
    for (size_t column = 0; column < width; ++column) {
      const float *from = block + row * columns + column;
      const bool inside = column < columns;
      *pairs++ = pith::Pair(inside ? from[0] : 0, inside && row + 1 < rows ? from[columns] : 0);
    }
  }
}

void pith_bf16_multiply_reference(PithPairs left, size_t first, size_t count, size_t depth,
                                  const uint32_t *block, size_t width, size_t columns, float *result,
                                  size_t stride) {
  for (size_t row = 0; row < count; ++row) {
    const size_t place = first + row;
    const uint32_t *at = left.pairs + place / PITH_PAIR_PANEL * left.panel_step +
                         place % PITH_PAIR_PANEL * left.row_step;
    for (size_t column = 0; column < columns; ++column) {
      float sum = 0;
      for (size_t pair = 0; pair < depth; ++pair) {
        const uint32_t a = at[pair * left.pair_step];
        const uint32_t b = block[pair * width + column];
        sum += pith::Widened(a >> 16) * pith::Widened(b >> 16);
        sum += pith::Widened(a & 0xFFFF) * pith::Widened(b & 0xFFFF);
      }
      result[row * stride + column] = sum;
    }
  }
}

double pith_bf16_pack(const float *matrix, size_t rows, size_t columns, uint32_t *lying,
                      uint32_t *panels) {
#if defined(__x86_64__)
  if (pith_bf16_products_available()) return pith::Pack(matrix, rows, columns, lying, panels);
#endif
  return pith_bf16_pack_reference(matrix, rows, columns, lying, panels);
}

void pith_bf16_block(const float *block, size_t rows, size_t columns, size_t width, uint32_t *pairs) {
#if defined(__x86_64__)
  if (pith_bf16_products_available()) return pith::Block(block, rows, columns, width, pairs);
#endif
  pith_bf16_block_reference(block, rows, columns, width, pairs);
}

void pith_bf16_multiply(PithPairs left, size_t first, size_t count, size_t depth, const uint32_t *block,
                        size_t width, size_t columns, float *result, size_t stride) {
#if defined(__x86_64__)
  if (pith_bf16_products_available()) {
    return pith::Multiply(left, first, count, depth, block, width, columns, result, stride);
  }
#endif
  pith_bf16_multiply_reference(left, first, count, depth, block, width, columns, result, stride);
}
}
