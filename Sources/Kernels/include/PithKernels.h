// SIMD kernels with a C ABI. Every function has a plain scalar twin with the suffix _reference.
// No allocation, no threads, no I/O. Pointers need no alignment; counts are in elements.
//
// What reaches the disk (conversions, codes, scales, packed bytes, error sums) is the same, bit
// for bit, on every instruction set; products (pith_multiply_integer) are not.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// MARK: Instruction set

/// The name of the instruction set that this machine's calls use: a part of the fingerprint.
const char *pith_kernel_target(void);

/// How many instruction sets were compiled in, and their names, slowest first.
int pith_kernel_target_count(void);
const char *pith_kernel_target_name(int index);

/// Makes the calling thread use one instruction set, for tests that compare them; a negative
/// index goes back to the best. Returns 0, or -1 when this machine does not have it.
int pith_kernel_target_for_this_thread(int index);

// MARK: Conversion

/// IEEE binary16 and bfloat16 <-> f32, ties to even; NaN stays NaN and becomes quiet.
void pith_f16_to_f32(const void *source, float *target, size_t count);
void pith_bf16_to_f32(const void *source, float *target, size_t count);
void pith_f32_to_f16(const float *source, void *target, size_t count);
void pith_f32_to_bf16(const float *source, void *target, size_t count);
void pith_f16_to_f32_reference(const void *source, float *target, size_t count);
void pith_bf16_to_f32_reference(const void *source, float *target, size_t count);
void pith_f32_to_f16_reference(const float *source, void *target, size_t count);
void pith_f32_to_bf16_reference(const float *source, void *target, size_t count);

// MARK: Reduction

/// The sum of all bytes, modulo 2^64.
uint64_t pith_sum_bytes(const void *source, size_t count);
uint64_t pith_sum_bytes_reference(const void *source, size_t count);

/// The index of the first NaN or infinity, or -1.
int64_t pith_first_nonfinite(const float *source, size_t count);
int64_t pith_first_nonfinite_reference(const float *source, size_t count);

/// The smallest, the largest and the absolutely largest of at least one number.
typedef struct {
  float minimum, maximum, absolute_maximum;
} PithRange;
PithRange pith_range(const float *source, size_t count);
PithRange pith_range_reference(const float *source, size_t count);

/// Sums over pairs (original a, approximation b), in f64.
typedef struct {
  uint64_t count;
  double squared_error, squared_original, squared_approximation, product;
  double maximum_absolute_error;
} PithErrorSums;

/// Adds the pairs of two runs to `sums`: sixteen lanes of f64, folded in a fixed order.
void pith_error_sums(
    const float *original, const float *approximation, size_t count, PithErrorSums *sums);
void pith_error_sums_reference(
    const float *original, const float *approximation, size_t count, PithErrorSums *sums);

/// Zeroes the entries whose bit is 0; bit k of byte k/8, least significant bit first.
void pith_apply_bitmap(float *values, const uint8_t *bitmap, size_t count);
void pith_apply_bitmap_reference(float *values, const uint8_t *bitmap, size_t count);

// MARK: Integer grids

/// How scales are stored.
enum { PITH_F32 = 0, PITH_F16 = 1, PITH_BF16 = 2 };

/// An integer grid and how its scales are chosen.
typedef struct {
  int32_t bits;        ///< 2 to 8
  int32_t symmetric;   ///< 1: zero = 2^(bits-1); 0: zero points, range includes 0
  int32_t scale_type;  ///< PITH_F32, PITH_F16 or PITH_BF16
  int32_t clip_steps;  ///< candidates p = 1 - i·clip_step tried; 1 tries only the full range
  double clip_step;
} PithGrid;

/// One scale, as stored, and its zero point.
typedef struct {
  float scale;
  int32_t zero;
} PithGridPoint;

/// Rounds a scale as it is stored, kept normal, positive and small enough that no code's value
/// overflows.
float pith_stored_scale(float scale, int32_t scale_type, int32_t bits);

/// The scale and zero point for a range, shrunk by `shrink` (1 = all of it).
PithGridPoint pith_grid_for_range(
    const PithGrid *grid, float minimum, float maximum, double shrink);

/// The squared error of a run on a given scale and zero.
double pith_grid_error(
    const PithGrid *grid, PithGridPoint point, const float *source, size_t count);
double pith_grid_error_reference(
    const PithGrid *grid, PithGridPoint point, const float *source, size_t count);

/// Encodes rows: per group of `group` inputs (which divides `columns`) the scale and zero, the
/// codes packed least significant bit first, each row padded to a byte, and the error sums, added
/// to `sums`. `zeros` is packed like the codes, or NULL when symmetric. With `fixed` the one
/// given scale and zero serve everywhere and `scales` and `zeros` are not written.
/// Returns -1, or the index of the first NaN or infinity (then the outputs are unspecified).
int64_t pith_encode_integer(
    const PithGrid *grid, const PithGridPoint *fixed, const float *source, size_t rows,
    size_t columns, size_t group, uint8_t *codes, void *scales, uint8_t *zeros,
    PithErrorSums *sums);
int64_t pith_encode_integer_reference(
    const PithGrid *grid, const PithGridPoint *fixed, const float *source, size_t rows,
    size_t columns, size_t group, uint8_t *codes, void *scales, uint8_t *zeros,
    PithErrorSums *sums);

/// The grids alone that `pith_encode_integer` fits to rows of one group each: scales as stored,
/// and zeros, both as f32. Returns as it does.
int64_t pith_fit_rows(const PithGrid *grid, const float *source, size_t rows, size_t columns,
                      float *scales, float *zeros);

/// Packs codes, one a byte, into a stream `bits` (1 to 8) wide, and back; the target of packing
/// has ceil(count·bits / 8) bytes, padding bits are zero.
void pith_pack_codes(const uint8_t *codes, size_t count, int32_t bits, uint8_t *packed);
void pith_unpack_codes(const uint8_t *packed, size_t count, int32_t bits, uint8_t *codes);
void pith_pack_codes_reference(const uint8_t *codes, size_t count, int32_t bits, uint8_t *packed);
void pith_unpack_codes_reference(
    const uint8_t *packed, size_t count, int32_t bits, uint8_t *codes);

/// target[column · target_stride + row] = source[row · source_stride + column], of 32-bit words at any
/// address; strides in words.
void pith_transpose_words(const void *source, size_t source_stride, size_t rows, size_t columns,
                          void *target, size_t target_stride);
void pith_transpose_words_reference(const void *source, size_t source_stride, size_t rows,
                                    size_t columns, void *target, size_t target_stride);

/// 4-bit codes, `stride` bytes a row, packed along the rows instead: word (column, w), one of rows / 8
/// a column, holds rows 8·w + {0, 2, 4, 6, 1, 3, 5, 7}, the lowest nibble first (AutoAWQ's order).
/// Rows are a multiple of 8.
void pith_interleave_nibbles(
    const void *source, size_t stride, size_t rows, size_t columns, void *target);
void pith_interleave_nibbles_reference(
    const void *source, size_t stride, size_t rows, size_t columns, void *target);

/// Encoded rows as they lie in memory. Row r's codes begin at codes + r·codes_stride, its scales
/// at element r·scales_stride, its packed zeros at zeros + r·zeros_stride; strides of 0 share one
/// scale among all rows.
typedef struct {
  const uint8_t *codes;
  const void *scales;
  const uint8_t *zeros;
  size_t codes_stride, scales_stride, zeros_stride;
  size_t columns, group;
  int32_t bits, scale_type;
} PithIntegerRows;

/// Decodes rows × columns of the encoded rows, (code - zero)·scale, to target[r·target_stride + c].
void pith_decode_integer(
    const PithIntegerRows *weight, size_t first_row, size_t rows, size_t first_column,
    size_t columns, float *target, size_t target_stride);
void pith_decode_integer_reference(
    const PithIntegerRows *weight, size_t first_row, size_t rows, size_t first_column,
    size_t columns, float *target, size_t target_stride);

/// y[t·y_stride + r] += Σ_c x[t·x_stride + c] · weight[first_row + r][c], for t < x_rows and
/// r < rows: decoding and multiplying in one pass, for few rows of x.
void pith_multiply_integer(
    const PithIntegerRows *weight, size_t first_row, size_t rows, const float *x, size_t x_rows,
    size_t x_stride, float *y, size_t y_stride);
void pith_multiply_integer_reference(
    const PithIntegerRows *weight, size_t first_row, size_t rows, const float *x, size_t x_rows,
    size_t x_stride, float *y, size_t y_stride);

// MARK: Tables

/// A number format as a table: the values of its codes, and how a value finds its code.
typedef struct {
  const float *values;   ///< 256: the value of each code; what no code stands for is not read
  const float *sorted;   ///< `count` values, ascending, from which an encoder chooses
  const float *bounds;   ///< 256: x > bounds[i] lies at least at sorted[i + 1]; +inf beyond the last
  const uint8_t *codes;  ///< `count`: the code of each sorted value
  int32_t count;         ///< 2 to 256
} PithTable;

/// The squared error of a run, each number at its nearest sorted value times the scale.
double pith_table_error(
    const PithTable *table, float scale, const float *source, size_t count);
double pith_table_error_reference(
    const PithTable *table, float scale, const float *source, size_t count);

/// The index of the scale with the smallest squared error; among equals the first. `scales` has
/// at least one, descending. Candidates are skipped only where what they clip costs more than the
/// best so far, as every one after them then does.
size_t pith_table_choose(
    const PithTable *table, const float *scales, size_t scale_count, const float *source,
    size_t count);
size_t pith_table_choose_reference(
    const PithTable *table, const float *scales, size_t scale_count, const float *source,
    size_t count);

/// Codes of a run, one a byte, and the values they decode to.
void pith_table_encode(
    const PithTable *table, float scale, const float *source, size_t count, uint8_t *codes,
    float *values);
void pith_table_encode_reference(
    const PithTable *table, float scale, const float *source, size_t count, uint8_t *codes,
    float *values);

/// How a row's codes are packed: a stream of `bits` each, least significant bit first; the upper
/// two bits of all 6-bit codes and then the lower four; or five base-3 digits a byte.
enum { PITH_PACKED_STREAM = 0, PITH_PACKED_2_4 = 1, PITH_PACKED_TRITS = 2 };

/// Scales as bytes with a table of their values, beside PITH_F32, PITH_F16 and PITH_BF16.
enum { PITH_CODED = 3 };

/// Encoded rows as they lie in memory. A scale with the index i = row · scales_stride + group is,
/// when coded, scale_values[byte] · factors[i / factor_span] + offset (no factors: 1).
typedef struct {
  const uint8_t *codes;
  const void *scales;
  const float *values;        ///< 256: the value of each code
  const float *scale_values;  ///< 256, when coded
  const float *factors;
  size_t factor_span;
  size_t codes_stride, scales_stride;
  size_t columns, group;
  float offset;
  int32_t bits, packing, scale_type;
} PithTableRows;

/// Decodes rows × columns of the encoded rows, value · scale, to target[r·target_stride + c].
void pith_decode_table(
    const PithTableRows *weight, size_t first_row, size_t rows, float *target,
    size_t target_stride);
void pith_decode_table_reference(
    const PithTableRows *weight, size_t first_row, size_t rows, float *target,
    size_t target_stride);

/// y[t·y_stride + r] += Σ_c x[t·x_stride + c] · weight[first_row + r][c], for t < x_rows and
/// r < rows.
void pith_multiply_table(
    const PithTableRows *weight, size_t first_row, size_t rows, const float *x, size_t x_rows,
    size_t x_stride, float *y, size_t y_stride);
void pith_multiply_table_reference(
    const PithTableRows *weight, size_t first_row, size_t rows, const float *x, size_t x_rows,
    size_t x_stride, float *y, size_t y_stride);

/// A row's codes, one a byte, from any of the packings.
void pith_unpack_row(
    const uint8_t *packed, size_t columns, int32_t bits, int32_t packing, uint8_t *codes);

// MARK: Blocks of ggml

/// ggml's block formats.
enum {
  PITH_Q4_0, PITH_Q4_1, PITH_Q5_0, PITH_Q5_1, PITH_Q8_0,
  PITH_Q2_K, PITH_Q3_K, PITH_Q4_K, PITH_Q5_K, PITH_Q6_K
};

/// What a block format is made of.
typedef struct {
  int32_t length;                ///< values in a block
  int32_t sub;                   ///< values that share a scale
  int32_t bytes;                 ///< bytes of a block
  int32_t low, high;             ///< codes
  int32_t scale_low, scale_high; ///< scales of sub-blocks
  int32_t min_high;              ///< minima of sub-blocks; 0 without, 1 of the older formats
} PithBlockFormat;

PithBlockFormat pith_block_format(int32_t type);

/// One block as numbers: value i is (d · scales[i / sub]) · codes[i] - minimum · minima[i / sub].
/// Of the older formats scales are 1 and minima -1 or 0.
typedef struct {
  float d, minimum;  ///< f16 numbers
  int16_t scales[16], minima[16];
  int16_t codes[256];
} PithBlock;

/// Blocks of a type to numbers and back, bit for bit; numbers beyond the format's are a bug.
void pith_unpack_block(int32_t type, const uint8_t *block, PithBlock *result);
void pith_pack_block(int32_t type, const PithBlock *source, uint8_t *block);

/// Decodes blocks that lie one after the other.
void pith_decode_blocks(int32_t type, const uint8_t *blocks, size_t count, float *target);

/// Encodes count · length finite numbers.
void pith_encode_blocks(int32_t type, const float *source, size_t count, uint8_t *blocks);

/// Chooses the nearest codes on the scales and minima that a block has.
void pith_recode_block(int32_t type, const float *source, PithBlock *block);

#ifdef __cplusplus
}
#endif
