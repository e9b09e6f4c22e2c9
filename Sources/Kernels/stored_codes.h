// Codes and zero points of stored rows, bit by bit: what the plain twins read.
#pragma once

#include "include/PithKernels.h"

namespace pith {

inline int GetCode(const uint8_t *row, size_t index, int bits) {
  int code = 0;
  for (int bit = 0; bit < bits; ++bit) {
    const size_t at = index * static_cast<size_t>(bits) + static_cast<size_t>(bit);
    code |= (row[at / 8] >> at % 8 & 1) << bit;
  }
  return code;
}

inline int CodeAt(const PithIntegerRows &weight, size_t row, size_t column) {
  return GetCode(weight.codes + row * weight.codes_stride, column, weight.bits);
}

inline int ZeroPointAt(const PithIntegerRows &weight, size_t row, size_t group) {
  if (weight.zeros == nullptr) return 1 << (weight.bits - 1);
  return GetCode(weight.zeros + row * weight.zeros_stride, group, weight.bits);
}

}  // namespace pith
