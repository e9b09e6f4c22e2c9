#include "include/PithKernels.h"
#include <string.h>
extern "C" {
void pith_bf16_to_f32(const void *s, float *t, size_t n) {
  for (size_t i = 0; i < n; ++i) { uint16_t b; memcpy(&b, (const char*)s + 2*i, 2); uint32_t w = (uint32_t)b << 16; memcpy(t + i, &w, 4); }
}
void pith_f32_to_bf16(const float *s, void *t, size_t n) {
  for (size_t i = 0; i < n; ++i) { uint32_t w; memcpy(&w, s + i, 4); uint16_t b = (w & 0x7fffffff) > 0x7f800000 ? (w >> 16) | 0x40 : (w + 0x7fff + ((w >> 16) & 1)) >> 16; memcpy((char*)t + 2*i, &b, 2); }
}
void pith_f16_to_f32(const void *s, float *t, size_t n) { for (size_t i = 0; i < n; ++i) { _Float16 h; memcpy(&h, (const char*)s + 2*i, 2); t[i] = (float)h; } }
void pith_f32_to_f16(const float *s, void *t, size_t n) { for (size_t i = 0; i < n; ++i) { _Float16 h = (_Float16)s[i]; memcpy((char*)t + 2*i, &h, 2); } }
}
