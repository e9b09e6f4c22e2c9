// SIMD kernels with a C ABI. Every function has a plain scalar twin with the suffix _reference.
// No allocation, no threads, no I/O. Pointers need no alignment; counts are in elements.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// IEEE binary16 and bfloat16 <-> f32, ties to even.
void pith_f16_to_f32(const void *source, float *target, size_t count);
void pith_bf16_to_f32(const void *source, float *target, size_t count);
void pith_f32_to_f16(const float *source, void *target, size_t count);
void pith_f32_to_bf16(const float *source, void *target, size_t count);

#ifdef __cplusplus
}
#endif
