// Kernels of the forward pass: norms, rotary positions, activations, softmax, scoring, input
// statistics. Row-major, f32; counts are in elements. Each has a plain twin in f64 with the suffix
// _reference that tests compare with.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// y = x / sqrt(mean(x²) + epsilon) · weight, row by row; x may be y.
void pith_rms_norm(const float *x, const float *weight, float *y, size_t rows, size_t width,
                   float epsilon);
void pith_rms_norm_reference(const float *x, const float *weight, float *y, size_t rows,
                             size_t width, float epsilon);

/// y = (x - mean) / sqrt(variance + epsilon) · weight + bias; x may be y, bias may be null.
void pith_layer_norm(const float *x, const float *weight, const float *bias, float *y, size_t rows,
                     size_t width, float epsilon);
void pith_layer_norm_reference(const float *x, const float *weight, const float *bias, float *y,
                               size_t rows, size_t width, float epsilon);

/// Rotates the halves of every head of every row: (a, b) becomes (a·cos - b·sin, b·cos + a·sin).
/// cosines and sines are `positions × dimension / 2`; row r uses line position[r].
void pith_rotary(float *x, size_t rows, size_t heads, size_t dimension, const int32_t *position,
                 const float *cosines, const float *sines);
void pith_rotary_reference(float *x, size_t rows, size_t heads, size_t dimension,
                           const int32_t *position, const float *cosines, const float *sines);

/// Activation functions, by the numbers that Swift's `Activation` carries.
enum { PITH_SILU = 0, PITH_GELU = 1, PITH_GELU_TANH = 2, PITH_RELU = 3, PITH_TANH = 4 };

/// x = activation(x).
void pith_activate(int kind, float *x, size_t count);
void pith_activate_reference(int kind, float *x, size_t count);
/// gate = activation(gate) · up.
void pith_activate_gated(int kind, float *gate, const float *up, size_t count);
void pith_activate_gated_reference(int kind, float *gate, const float *up, size_t count);

/// x += y.
void pith_add(float *x, const float *y, size_t count);
/// Every row += bias.
void pith_add_bias(float *x, const float *bias, size_t rows, size_t width);

/// softmax(scale · scores) over the allowed columns of each row, 0 elsewhere.
///
/// Row i may see columns [max(0, last - window), last) with last = columns when `causal` is 0, else
/// min(columns, offset + i + 1); window 0 means no limit. A row that may see nothing becomes 0.
void pith_masked_softmax(float *scores, size_t rows, size_t columns, size_t stride, int causal,
                         size_t offset, size_t window, float scale);
void pith_masked_softmax_reference(float *scores, size_t rows, size_t columns, size_t stride,
                                   int causal, size_t offset, size_t window, float scale);

/// Whether pith_attention beats two matrix products around a softmax on this processor.
int pith_attention_is_fast(void);
/// Keys, `count × dimension` at a stride, as `dimension × transposed_stride`, zeros behind `count`;
/// transposed_stride is a multiple of 32 and at least `count`.
void pith_transpose_keys(const float *keys, size_t stride, size_t count, size_t dimension,
                         float *transposed, size_t transposed_stride);
/// out = softmax(scale · Q Kᵀ) V of one head, eight queries at a time, masked as pith_masked_softmax.
/// Every query sees at least one key. `dimension` is a multiple of 16, `keys` is transposed,
/// `scratch` has room for 8 × key_stride.
void pith_attention(const float *query, size_t query_stride, const float *keys, size_t key_stride,
                    const float *values, size_t value_stride, float *out, size_t out_stride,
                    size_t queries, size_t key_count, size_t dimension, int causal, size_t offset,
                    size_t window, float scale, float *scratch);
void pith_attention_reference(const float *query, size_t query_stride, const float *keys,
                              size_t key_stride, const float *values, size_t value_stride,
                              float *out, size_t out_stride, size_t queries, size_t key_count,
                              size_t dimension, int causal, size_t offset, size_t window,
                              float scale, float *scratch);

/// The largest of `count` > 0 numbers and its first index.
float pith_largest(const float *x, size_t count, size_t *index);

/// The largest of a run by itself; minus infinity when every number is NaN.
float pith_maximum(const float *x, size_t count);
/// Σ exp(x - shift): f32 lanes over runs of 4096, f64 across runs.
double pith_sum_exp(const float *x, size_t count, float shift);
double pith_sum_exp_reference(const float *x, size_t count, float shift);
/// What a KL divergence of two rows of logits is made of, added to `sums`: Σ e^(p - p_shift),
/// Σ e^(p - p_shift)·(p - q), Σ e^(q - q_shift); f32 lanes over runs of 256, f64 across runs.
void pith_divergence_sums(const float *p, const float *q, size_t count, float p_shift,
                          float q_shift, double *sums);
void pith_divergence_sums_reference(const float *p, const float *q, size_t count, float p_shift,
                                    float q_shift, double *sums);

/// Adds rows to per-column Σx, Σ|x|, Σx² (f64) and max|x|; 0 when a value is not finite, else 1.
int pith_column_statistics(const float *x, size_t rows, size_t width, double *sums,
                           double *absolute_sums, double *square_sums, float *maxima);
/// accumulator += tile, a block of a wider f64 matrix.
void pith_accumulate(double *accumulator, size_t accumulator_stride, const float *tile, size_t rows,
                     size_t columns);

#ifdef __cplusplus
}
#endif
