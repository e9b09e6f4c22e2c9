#include <math.h>

#include "forward_vector.h"
#include "include/PithForward.h"

using namespace pith;

namespace {

struct Attention {
  const float *query;
  size_t query_stride;
  const float *keys;  // transposed: dimension × key_stride
  size_t key_stride;
  const float *values;
  size_t value_stride;
  float *out;
  size_t out_stride;
  size_t key_count, dimension;
  int causal;
  size_t offset, window;
  float scale;
  float *scores;  // rows × key_stride
};

PITH_INLINE void reach(const Attention &a, size_t row, size_t &first, size_t &last) {
  const size_t end = a.offset + row + 1;
  last = a.causal && end < a.key_count ? end : a.key_count;
  first = a.causal && a.window && end > a.window ? end - a.window : 0;
}

// Scores of `rows` queries with the keys of [from, to), both multiples of 32.
template <int rows>
PITH_INLINE void score(const Attention &a, size_t row, size_t from, size_t to) {
  const float *query = a.query + row * a.query_stride;
  for (size_t j = from; j < to; j += 2 * kLanes) {
    Lanes low[rows] = {}, high[rows] = {}, k0, k1;
    const float *key = a.keys + j;
    for (size_t d = 0; d < a.dimension; ++d, key += a.key_stride) {
      load(k0, key);
      load(k1, key + kLanes);
      for (int r = 0; r < rows; ++r) {
        const float q = query[(size_t)r * a.query_stride + d];
        low[r] += q * k0;
        high[r] += q * k1;
      }
    }
    for (int r = 0; r < rows; ++r) {
      store(low[r], a.scores + (size_t)r * a.key_stride + j);
      store(high[r], a.scores + (size_t)r * a.key_stride + j + kLanes);
    }
  }
}

// exp(scale · score − largest) over [first, last), 0 elsewhere in [from, to); 1 / their sum.
PITH_INLINE float weigh(float *x, size_t from, size_t first, size_t last, size_t to, float scale) {
  for (size_t j = from; j < first; ++j) x[j] = -INFINITY;
  for (size_t j = last; j < to; ++j) x[j] = -INFINITY;
  Lanes best = Lanes{} - INFINITY, total = {}, value;
  for (size_t j = from; j < to; j += kLanes) {
    load(value, x + j);
    raise_to(best, value);
  }
  const float shift = maximum(best) * scale;
  for (size_t j = from; j < to; j += kLanes) {
    load(value, x + j);
    value = value * scale - shift;
    exponential(value);
    total += value;
    store(value, x + j);
  }
  return 1.0f / sum(total);
}

// out = weights · values for `vectors` × 16 columns.
template <int rows, int vectors>
PITH_INLINE void mix(const Attention &a, size_t row, size_t column, size_t first, size_t last,
                     const float *inverse) {
  Lanes total[rows][vectors] = {}, v[vectors];
  const float *value = a.values + first * a.value_stride + column;
  for (size_t j = first; j < last; ++j, value += a.value_stride) {
    for (int i = 0; i < vectors; ++i) load(v[i], value + i * kLanes);
    for (int r = 0; r < rows; ++r) {
      const float weight = a.scores[(size_t)r * a.key_stride + j];
      for (int i = 0; i < vectors; ++i) total[r][i] += weight * v[i];
    }
  }
  for (int r = 0; r < rows; ++r)
    for (int i = 0; i < vectors; ++i) {
      total[r][i] *= inverse[r];
      store(total[r][i], a.out + (row + r) * a.out_stride + column + i * kLanes);
    }
}

template <int rows>
PITH_INLINE void attend(const Attention &a, size_t row) {
  size_t first, last, unused;
  reach(a, row, first, unused);
  reach(a, row + rows - 1, unused, last);
  const size_t step = 2 * kLanes;
  const size_t from = first / step * step, to = (last + step - 1) / step * step;
  score<rows>(a, row, from, to);
  float inverse[rows];
  for (int r = 0; r < rows; ++r) {
    size_t begin, end;
    reach(a, row + r, begin, end);
    inverse[r] = weigh(a.scores + (size_t)r * a.key_stride, from, begin, end, to, a.scale);
  }
  size_t column = 0;
  for (; column + step <= a.dimension; column += step)
    mix<rows, 2>(a, row, column, first, last, inverse);
  if (column < a.dimension) mix<rows, 1>(a, row, column, first, last, inverse);
}

}  // namespace

extern "C" {

int pith_attention_is_fast(void) {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512f") ? 1 : 0;
#else
  return 0;
#endif
}

void pith_transpose_keys(const float *keys, size_t stride, size_t count, size_t dimension,
                         float *transposed, size_t transposed_stride) {
  for (size_t block = 0; block < transposed_stride; block += kLanes)
    for (size_t d = 0; d < dimension; ++d)
      for (size_t j = block; j < block + kLanes; ++j)
        transposed[d * transposed_stride + j] = j < count ? keys[j * stride + d] : 0;
}

PITH_CLONES void pith_attention(const float *query, size_t query_stride, const float *keys,
                                size_t key_stride, const float *values, size_t value_stride,
                                float *out, size_t out_stride, size_t queries, size_t key_count,
                                size_t dimension, int causal, size_t offset, size_t window,
                                float scale, float *scratch) {
  const Attention a = {query,      query_stride, keys,      key_stride, values,
                       value_stride, out,        out_stride, key_count, dimension,
                       causal,     offset,       window,    scale,      scratch};
  size_t row = 0;
  for (; row + 8 <= queries; row += 8) attend<8>(a, row);
  for (; row < queries; ++row) attend<1>(a, row);
}

void pith_attention_reference(const float *query, size_t query_stride, const float *keys,
                              size_t key_stride, const float *values, size_t value_stride,
                              float *out, size_t out_stride, size_t queries, size_t key_count,
                              size_t dimension, int causal, size_t offset, size_t window,
                              float scale, float *scratch) {
  for (size_t row = 0; row < queries; ++row) {
    for (size_t j = 0; j < key_count; ++j) {
      double dot = 0;
      for (size_t d = 0; d < dimension; ++d)
        dot += (double)query[row * query_stride + d] * keys[d * key_stride + j];
      scratch[j] = (float)dot;
    }
    pith_masked_softmax_reference(scratch, 1, key_count, key_count, causal, offset + row, window,
                                  scale);
    for (size_t d = 0; d < dimension; ++d) {
      double total = 0;
      for (size_t j = 0; j < key_count; ++j)
        total += (double)scratch[j] * values[j * value_stride + d];
      out[row * out_stride + d] = (float)total;
    }
  }
}

}  // extern "C"
