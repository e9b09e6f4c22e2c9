// What the fast and the plain kernels of table formats share.
#pragma once

#include <string.h>

#include "include/PithKernels.h"
#include "packing.h"

namespace pith {

/// Codes of one packing begin on a byte at every multiple of this.
constexpr size_t kTritRun = 5;

/// Bytes of the two-bit half of a row that is stored as 2 + 4 bits.
inline size_t HighBytes(size_t columns) { return (columns * 2 + 7) / 8; }

/// Five base-3 digits, the first the least significant, from one byte; all bytes beyond 242 are
/// refused before.
inline void UnpackTrits(const uint8_t *packed, size_t count, uint8_t *codes) {
  for (size_t i = 0; i < count; i += kTritRun) {
    unsigned value = packed[i / kTritRun];
    for (size_t k = 0; k < kTritRun; ++k) {
      // The last byte of a row may stand for fewer; codes has room for a whole run.
      codes[i + k] = static_cast<uint8_t>(value % 3);
      value /= 3;
    }
  }
}

/// One scale of encoded rows, as f32.
inline float ScaleAt(const PithTableRows &weight, size_t index) {
  float scale;
  switch (weight.scale_type) {
    case PITH_F16:
      pith_f16_to_f32_reference(
          static_cast<const uint8_t *>(weight.scales) + 2 * index, &scale, 1);
      return scale;
    case PITH_BF16:
      pith_bf16_to_f32_reference(
          static_cast<const uint8_t *>(weight.scales) + 2 * index, &scale, 1);
      return scale;
    case PITH_CODED: {
      const uint8_t code = static_cast<const uint8_t *>(weight.scales)[index];
      scale = weight.scale_values[code];
      if (weight.factors != nullptr) scale *= weight.factors[index / weight.factor_span];
      return scale + weight.offset;
    }
    default:
      memcpy(&scale, static_cast<const uint8_t *>(weight.scales) + 4 * index, 4);
      return scale;
  }
}

}  // namespace pith
