// Weights moved into their grids' ranges where the inputs' statistics say that it costs least.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "bound.cc"
#include "target.h"

#include <hwy/foreach_target.h>

#include "include/PithBound.h"
#include "lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pith {
namespace HWY_NAMESPACE {
namespace {

constexpr size_t kPanel = PITH_BOUND_PANEL;
constexpr size_t kPanelVectors = kPanel / kLanes;

/// Values of a panel's inputs less what the multipliers of a list take from them.
HWY_INLINE void Subtract(const float *panel, const PithMultiplier *list, size_t count, VecF *values) {
  const TagF f;
  if constexpr (kPanelVectors <= 2) {
    // A sum of its own for every second one: each waits for the one before it.
    VecF other[kPanelVectors];
    for (size_t v = 0; v < kPanelVectors; ++v) other[v] = hn::Zero(f);
    size_t i = 0;
    for (; i + 1 < count; i += 2) {
      const float *first = panel + static_cast<size_t>(list[i].position) * kPanel;
      const float *second = panel + static_cast<size_t>(list[i + 1].position) * kPanel;
      const VecF x = hn::Set(f, list[i].value), y = hn::Set(f, list[i + 1].value);
      for (size_t v = 0; v < kPanelVectors; ++v) {
        values[v] = hn::NegMulAdd(x, hn::LoadU(f, first + v * kLanes), values[v]);
        other[v] = hn::NegMulAdd(y, hn::LoadU(f, second + v * kLanes), other[v]);
      }
    }
    if (i < count) {
      const float *line = panel + static_cast<size_t>(list[i].position) * kPanel;
      const VecF x = hn::Set(f, list[i].value);
      for (size_t v = 0; v < kPanelVectors; ++v) {
        values[v] = hn::NegMulAdd(x, hn::LoadU(f, line + v * kLanes), values[v]);
      }
    }
    for (size_t v = 0; v < kPanelVectors; ++v) values[v] = hn::Add(values[v], other[v]);
  } else {
    for (size_t i = 0; i < count; ++i) {
      const float *line = panel + static_cast<size_t>(list[i].position) * kPanel;
      const VecF x = hn::Set(f, list[i].value);
      for (size_t v = 0; v < kPanelVectors; ++v) {
        values[v] = hn::NegMulAdd(x, hn::LoadU(f, line + v * kLanes), values[v]);
      }
    }
  }
}

template <class Mask>
HWY_INLINE uint32_t Bits(Mask mask) {
  uint8_t bytes[8] = {0};
  hn::StoreMaskBits(TagF(), mask, bytes);
  uint32_t bits;
  memcpy(&bits, bytes, sizeof bits);
  return bits;
}

/// Bits of the inputs whose values lie outside, or whose multipliers are not zero.
HWY_INLINE uint32_t Candidates(const float *values, const float *low, const float *high,
                               const float *multipliers) {
  const TagF f;
  uint32_t bits = 0;
  for (size_t v = 0; v < kPanelVectors; ++v) {
    const size_t at = v * kLanes;
    const VecF x = hn::Load(f, values + at);
    const auto outside = hn::Or(hn::Gt(x, hn::Load(f, high + at)), hn::Lt(x, hn::Load(f, low + at)));
    const auto held = hn::Ne(hn::Load(f, multipliers + at), hn::Zero(f));
    bits |= Bits(hn::Or(outside, held)) << at;
  }
  return bits;
}

/// The ranges of a panel's inputs, empty beyond the last.
HWY_INLINE void Ranges(const PithBounds &job, size_t first, size_t inside, const float *low,
                       const float *high, float *lows, float *highs) {
  const TagF f;
  const int32_t *grids = job.grids + first;
  if (inside == kPanel) {
    for (size_t v = 0; v < kPanelVectors; ++v) {
      const VecI place = hn::LoadU(TagI(), grids + v * kLanes);
      hn::Store(hn::GatherIndex(f, low, place), f, lows + v * kLanes);
      hn::Store(hn::GatherIndex(f, high, place), f, highs + v * kLanes);
    }
    return;
  }
  for (size_t j = 0; j < kPanel; ++j) {
    lows[j] = j < inside ? low[grids[j]] : 0;
    highs[j] = j < inside ? high[grids[j]] : 0;
  }
}

/// Hildreth's steps over one panel's inputs, twice: each multiplier in turn the one that brings its
/// input back to its limit, or none.
HWY_INLINE void Settle(const float *block, const float *low, const float *high, float *values,
                       float *multipliers) {
  const TagF f;
  for (int visit = 0; visit < 2; ++visit) {
    uint32_t bits = Candidates(values, low, high, multipliers);
    if (bits == 0) return;
    while (bits != 0) {
      const size_t j = 31 - static_cast<size_t>(__builtin_clz(bits));
      bits ^= uint32_t{1} << j;
      const float *line = block + j * kPanel;
      const float pivot = line[j], free = values[j] + multipliers[j] * pivot;
      const float next = !(pivot > 0) ? 0
                         : free > high[j] ? (free - high[j]) / pivot
                         : free < low[j]  ? (free - low[j]) / pivot
                                          : 0;
      const float step = next - multipliers[j];
      if (step == 0) continue;
      multipliers[j] = next;
      const VecF x = hn::Set(f, step);
      for (size_t v = 0; v < kPanelVectors; ++v) {
        const size_t at = v * kLanes;
        hn::Store(hn::NegMulAdd(x, hn::LoadU(f, line + at), hn::Load(f, values + at)), f,
                  values + at);
      }
    }
  }
}

/// One row's inputs of one panel. Of the last pass's list, `last`, those before `*place` lie in
/// panels that are done; the new list, `list`, holds these.
HWY_INLINE void Visit(const PithBounds &job, size_t first, const float *lines, const float *weights,
                      const float *low, const float *high, const PithMultiplier *last,
                      size_t last_count, uint32_t *place, PithMultiplier *list, uint32_t *count) {
  const TagF f;
  const size_t inside = job.width - first < kPanel ? job.width - first : kPanel;
  HWY_ALIGN float values[kPanel], lows[kPanel], highs[kPanel], multipliers[kPanel] = {0};
  Ranges(job, first, inside, low, high, lows, highs);
  size_t end = *place;
  for (; end < last_count && static_cast<size_t>(last[end].position) >= first; ++end) {
    multipliers[static_cast<size_t>(last[end].position) - first] = last[end].value;
  }
  VecF sums[kPanelVectors];
  for (size_t v = 0; v < kPanelVectors; ++v) sums[v] = hn::LoadU(f, weights + v * kLanes);
  Subtract(lines, list, *count, sums);
  Subtract(lines, last + *place, last_count - *place, sums);
  for (size_t v = 0; v < kPanelVectors; ++v) hn::Store(sums[v], f, values + v * kLanes);
  *place = static_cast<uint32_t>(end);
  Settle(lines + first * kPanel, lows, highs, values, multipliers);
  uint32_t bits = 0;
  for (size_t v = 0; v < kPanelVectors; ++v) {
    bits |= Bits(hn::Ne(hn::Load(f, multipliers + v * kLanes), hn::Zero(f))) << (v * kLanes);
  }
  while (bits != 0) {
    const size_t j = static_cast<size_t>(__builtin_ctz(bits));
    bits &= bits - 1;
    list[*count].position = static_cast<int32_t>(first + j);
    list[*count].value = multipliers[j];
    *count += 1;
  }
}

}  // namespace

void BoundRows(const PithBounds *job, const float *weights, const float *low, const float *high,
               size_t rows, PithMultiplier *lists, uint32_t *counts, uint32_t *places,
               float *ordered, float *targets) {
  const TagF f;
  const size_t width = job->width, panels = (width + kPanel - 1) / kPanel;
  const size_t pitch = pith_bound_pitch(width);
  // Panel by panel, the rows of each side by side: inputs in the factor's order are far apart.
  for (size_t row = 0; row < rows; ++row) {
    for (size_t i = 0; i < panels * kPanel; ++i) {
      ordered[(i / kPanel * rows + row) * kPanel + i % kPanel] =
          i < width ? weights[row * width + static_cast<size_t>(job->inputs[i])] : 0;
    }
  }
  memset(counts, 0, 2 * rows * sizeof(uint32_t));
  for (size_t pass = 0; pass < job->passes; ++pass) {
    // Lists of this pass and of the last one take turns.
    PithMultiplier *now = lists + pass % 2 * rows * pitch;
    const PithMultiplier *last = lists + (pass + 1) % 2 * rows * pitch;
    uint32_t *count = counts + pass % 2 * rows;
    const uint32_t *last_count = counts + (pass + 1) % 2 * rows;
    memset(count, 0, rows * sizeof(uint32_t));
    memset(places, 0, rows * sizeof(uint32_t));
    // The last positions, which a sweep rounds first, come first: what those after them push out
    // of range again the sweep can still make good.
    for (size_t panel = panels; panel-- > 0;) {
      const float *lines = job->inverse + panel * width * kPanel;
      for (size_t row = 0; row < rows; ++row) {
        Visit(*job, panel * kPanel, lines, ordered + (panel * rows + row) * kPanel,
              low + row * job->groups, high + row * job->groups, last + row * pitch,
              last_count[row], places + row, now + row * pitch, count + row);
      }
    }
  }
  const size_t found = (job->passes + 1) % 2 * rows;
  for (size_t panel = 0; panel < panels; ++panel) {
    const float *lines = job->inverse + panel * width * kPanel;
    for (size_t row = 0; row < rows; ++row) {
      float *values = ordered + (panel * rows + row) * kPanel;
      VecF sums[kPanelVectors];
      for (size_t v = 0; v < kPanelVectors; ++v) sums[v] = hn::LoadU(f, values + v * kLanes);
      Subtract(lines, lists + (found + row) * pitch, counts[found + row], sums);
      for (size_t v = 0; v < kPanelVectors; ++v) hn::StoreU(sums[v], f, values + v * kLanes);
    }
  }
  for (size_t row = 0; row < rows; ++row) {
    for (size_t i = 0; i < width; ++i) {
      targets[row * width + static_cast<size_t>(job->inputs[i])] =
          ordered[(i / kPanel * rows + row) * kPanel + i % kPanel];
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace pith
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pith {
extern "C" {

void pith_bound_rows(const PithBounds *job, const float *weights, const float *low,
                     const float *high, size_t rows, PithMultiplier *lists, uint32_t *counts,
                     uint32_t *places, float *ordered, float *targets) {
  PITH_DISPATCH(BoundRows)(job, weights, low, high, rows, lists, counts, places, ordered,
                            targets);
}
}
}  // namespace pith
#endif
