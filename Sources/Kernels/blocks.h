// The block formats of ggml as numbers: what the encoder, the decoder and the packing share.
#pragma once

#include <stdint.h>

#include "include/PithKernels.h"

namespace pith {

/// The largest block and the most sub-blocks of one.
constexpr int kBlockValues = 256;
constexpr int kSubBlocks = 16;

/// What the formats are; the order is that of the enumeration in PithKernels.h.
inline const PithBlockFormat &BlockFormatOf(int32_t type) {
  // length, sub, bytes, low, high, scale_low, scale_high, min_high
  static constexpr PithBlockFormat formats[] = {
      {32, 32, 18, -8, 7, 1, 1, 0},      {32, 32, 20, 0, 15, 1, 1, 1},
      {32, 32, 22, -16, 15, 1, 1, 0},    {32, 32, 24, 0, 31, 1, 1, 1},
      {32, 32, 34, -128, 127, 1, 1, 0},  {256, 16, 84, 0, 3, 0, 15, 15},
      {256, 16, 110, -4, 3, -32, 31, 0}, {256, 32, 144, 0, 15, 0, 63, 63},
      {256, 32, 176, 0, 31, 0, 63, 63},  {256, 16, 210, -32, 31, -128, 127, 0},
  };
  return formats[type];
}

}  // namespace pith
