// What the sweep does to single entries: plain, shared by the fast and the plain sweep.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "include/PithSparse.h"

namespace pith {

/// Marks which of the `of` columns from `first` on are kept: those with the largest (w/pivot)²,
/// at most `keep`; among equals the lower column goes first, and what is dropped stays dropped.
inline void ChoosePattern(
    const float *w, uint8_t *kept, const float *factor, size_t width, size_t first, int keep,
    int of) {
  float scores[256];
  for (int j = 0; j < of; ++j) {
    const size_t i = first + static_cast<size_t>(j);
    const float ratio = w[i] / factor[i * width + i];
    scores[j] = kept[i] != 0 ? ratio * ratio : -1.0f;
  }
  const int drop = of - keep;
  for (int j = 0; j < of; ++j) {
    int smaller = 0;
    for (int k = 0; k < of; ++k) {
      smaller += scores[k] < scores[j] || (scores[k] == scores[j] && k < j) ? 1 : 0;
    }
    if (smaller < drop) kept[first + static_cast<size_t>(j)] = 0;
  }
}

/// The value on the grid and its code; a dropped entry gets the zero point's code, which is exactly
/// 0. Written so that a NaN becomes a number, and is found in the loss.
inline float RoundOnGrid(const PithSweepTile &tile, size_t r, size_t i, float w, bool kept) {
  const size_t grid = r * tile.grid_stride + (tile.column + i) / tile.group;
  const float scale = tile.scales[grid];
  const float zero = tile.zeros[grid];
  // 1.5·2^23: adding and taking it away rounds half to even.
  constexpr float rounder = 12582912.0f;
  float step = w / scale;
  step = step < 512 ? step : 512;
  step = step > -512 ? step : -512;
  float code = (step + rounder) - rounder + zero;
  code = code < tile.top ? code : tile.top;
  code = code > 0 ? code : 0;
  if (!kept) code = zero;
  tile.codes[r * tile.width + i] = static_cast<uint8_t>(code);
  return (code - zero) * scale;
}

}  // namespace pith
