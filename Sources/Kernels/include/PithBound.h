// Weights moved into their grids' ranges at the least cost: Hildreth's method (1957) on the dual of
// min (w - t)·H·(w - t)ᵀ, low ≤ t ≤ high.
//
// With a multiplier λ_j for every input t = w - λ·H⁻¹; λ is above 0 where t lies on its upper limit,
// below 0 on its lower one, 0 between. Each λ_j in turn takes the value that is best with the others
// as they are, the last position first. The plain twin is in the tests (MethodsTests, `HeldWeightsTests`).
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Inputs whose part of H⁻¹ lies side by side.
enum { PITH_BOUND_PANEL = 32 };

/// What holds one input on its limit.
typedef struct {
  int32_t position;
  float value;
} PithMultiplier;

typedef struct {
  size_t width;   ///< inputs
  size_t groups;  ///< ranges of a row
  size_t passes;  ///< visits of every input, at least 1
  /// H⁻¹ by panels of PITH_BOUND_PANEL of its columns, width lines each, zeros beyond the last
  /// column; best aligned to 64 bytes.
  const float *inverse;
  /// Per position in H⁻¹ the input and the number of its range.
  const int32_t *inputs, *grids;
} PithBounds;

/// Multipliers of a row, with room that keeps rows apart in the caches.
static inline size_t pith_bound_pitch(size_t width) { return width + 40; }

/// What rows are worked on in.
typedef struct {
  /// 2 × rows × pitch. After `passes` passes those of the last one, list (passes + 1) % 2, are the
  /// row's multipliers other than 0, the last panel's first.
  PithMultiplier *lists;
  uint32_t *counts;  ///< 2 × rows, how many they are, in the same place
  uint32_t *places;  ///< rows
  float *ordered;    ///< rows × the width rounded up to whole panels, on a border of 64 bytes
} PithBoundRoom;

/// The targets of some rows.
///
/// - weights: rows × width, inputs in their own order.
/// - low, high: rows × groups.
/// - targets: positions × rows in tiles of `stride` rows (a multiple of 16), one tile after the
///   other; zeros beyond the last row.
/// - broken: rows, 1 where a target is not finite.
void pith_bound_rows(const PithBounds *job, const float *weights, const float *low,
                     const float *high, size_t rows, const PithBoundRoom *room, float *targets,
                     size_t stride, uint8_t *broken);

#ifdef __cplusplus
}
#endif
