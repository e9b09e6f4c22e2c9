// GGUF's blocks as f32: a block's layout decides the loops, so that the compiler can unroll them.
// Layouts: ptq.md, F4. Reading only happens at a model's door; there is no other road to compare
// with, and the tests compare with the `gguf` package's decoder.
#include <string.h>

#include "include/PithKernels.h"

namespace {

float Half(const uint8_t *bytes) {
  float value;
  pith_f16_to_f32_reference(bytes, &value, 1);
  return value;
}

uint32_t Word(const uint8_t *bytes) {
  uint32_t word;
  memcpy(&word, bytes, 4);
  return word;
}

void Q4_0(const uint8_t *block, float *y) {
  const float d = Half(block);
  for (int j = 0; j < 16; ++j) {
    y[j] = ((block[2 + j] & 15) - 8) * d;
    y[j + 16] = ((block[2 + j] >> 4) - 8) * d;
  }
}

void Q4_1(const uint8_t *block, float *y) {
  const float d = Half(block), m = Half(block + 2);
  for (int j = 0; j < 16; ++j) {
    y[j] = (block[4 + j] & 15) * d + m;
    y[j + 16] = (block[4 + j] >> 4) * d + m;
  }
}

void Q5_0(const uint8_t *block, float *y) {
  const float d = Half(block);
  const uint32_t high = Word(block + 2);
  for (int j = 0; j < 16; ++j) {
    const int low = (block[6 + j] & 15) | ((high >> j & 1) << 4);
    const int top = (block[6 + j] >> 4) | ((high >> (j + 16) & 1) << 4);
    y[j] = (low - 16) * d;
    y[j + 16] = (top - 16) * d;
  }
}

void Q5_1(const uint8_t *block, float *y) {
  const float d = Half(block), m = Half(block + 2);
  const uint32_t high = Word(block + 4);
  for (int j = 0; j < 16; ++j) {
    const int low = (block[8 + j] & 15) | ((high >> j & 1) << 4);
    const int top = (block[8 + j] >> 4) | ((high >> (j + 16) & 1) << 4);
    y[j] = low * d + m;
    y[j + 16] = top * d + m;
  }
}

void Q8_0(const uint8_t *block, float *y) {
  const float d = Half(block);
  for (int j = 0; j < 32; ++j) y[j] = static_cast<int8_t>(block[2 + j]) * d;
}

void Q2_K(const uint8_t *block, float *y) {
  const uint8_t *scales = block, *codes = block + 16;
  const float d = Half(block + 80), dmin = Half(block + 82);
  for (int i = 0; i < 256; ++i) {
    const int half = i / 128, shift = i % 128 / 32 * 2, within = i % 32;
    const uint8_t scale = scales[i / 16];
    const int q = codes[half * 32 + within] >> shift & 3;
    y[i] = d * (scale & 15) * q - dmin * (scale >> 4);
  }
}

void Q3_K(const uint8_t *block, float *y) {
  const uint8_t *high = block, *codes = block + 32, *packed = block + 96;
  const float d = Half(block + 108);
  for (int i = 0; i < 256; ++i) {
    const int sub = i / 16, half = i / 128, shift = i % 128 / 32 * 2, within = i % 32;
    const int low = sub < 8 ? packed[sub] & 15 : packed[sub - 8] >> 4;
    const int scale = (low | (packed[8 + sub % 4] >> (2 * (sub / 4)) & 3) << 4) - 32;
    const int bit = high[within] >> (i / 32) & 1;
    const int q = (codes[half * 32 + within] >> shift & 3) - (bit ? 0 : 4);
    y[i] = d * scale * q;
  }
}

// The six-bit scale and minimum of a sub-block of 32.
void ScaleAndMinimum(const uint8_t *s, int j, int *scale, int *minimum) {
  if (j < 4) {
    *scale = s[j] & 63;
    *minimum = s[j + 4] & 63;
  } else {
    *scale = (s[j + 4] & 15) | (s[j - 4] >> 6) << 4;
    *minimum = (s[j + 4] >> 4) | (s[j] >> 6) << 4;
  }
}

void Q4_K(const uint8_t *block, float *y) {
  const float d = Half(block), dmin = Half(block + 2);
  for (int sub = 0; sub < 8; ++sub) {
    int scale, minimum;
    ScaleAndMinimum(block + 4, sub, &scale, &minimum);
    const uint8_t *codes = block + 16 + sub / 2 * 32;
    for (int j = 0; j < 32; ++j) {
      const int q = sub % 2 ? codes[j] >> 4 : codes[j] & 15;
      y[sub * 32 + j] = d * scale * q - dmin * minimum;
    }
  }
}

void Q5_K(const uint8_t *block, float *y) {
  const float d = Half(block), dmin = Half(block + 2);
  const uint8_t *high = block + 16;
  for (int sub = 0; sub < 8; ++sub) {
    int scale, minimum;
    ScaleAndMinimum(block + 4, sub, &scale, &minimum);
    const uint8_t *codes = block + 48 + sub / 2 * 32;
    for (int j = 0; j < 32; ++j) {
      const int low = sub % 2 ? codes[j] >> 4 : codes[j] & 15;
      const int q = low | (high[j] >> sub & 1) << 4;
      y[sub * 32 + j] = d * scale * q - dmin * minimum;
    }
  }
}

void Q6_K(const uint8_t *block, float *y) {
  const float d = Half(block + 208);
  for (int half = 0; half < 2; ++half) {
    const uint8_t *low = block + half * 64, *high = block + 128 + half * 32;
    const int8_t *scales = reinterpret_cast<const int8_t *>(block + 192 + half * 8);
    for (int run = 0; run < 4; ++run) {
      for (int j = 0; j < 32; ++j) {
        const uint8_t byte = low[run % 2 * 32 + j];
        const int nibble = run < 2 ? byte & 15 : byte >> 4;
        const int q = (nibble | (high[j] >> (2 * run) & 3) << 4) - 32;
        y[half * 128 + run * 32 + j] = d * scales[run * 2 + j / 16] * q;
      }
    }
  }
}

struct Layout {
  int32_t type;
  size_t length, bytes;
  void (*decode)(const uint8_t *, float *);
};

const Layout kLayouts[] = {
    {2, 32, 18, Q4_0},    {3, 32, 20, Q4_1},    {6, 32, 22, Q5_0},   {7, 32, 24, Q5_1},
    {8, 32, 34, Q8_0},    {10, 256, 84, Q2_K},  {11, 256, 110, Q3_K}, {12, 256, 144, Q4_K},
    {13, 256, 176, Q5_K}, {14, 256, 210, Q6_K},
};

}  // namespace

int32_t pith_decode_ggml(int32_t type, const void *blocks, size_t count, float *target) {
  for (const Layout &layout : kLayouts) {
    if (layout.type != type) continue;
    const uint8_t *block = static_cast<const uint8_t *>(blocks);
    for (size_t i = 0; i < count; ++i) layout.decode(block + i * layout.bytes, target + i * layout.length);
    return 1;
  }
  return 0;
}
