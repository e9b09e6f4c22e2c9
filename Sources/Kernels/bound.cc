// Weights moved into their grids' ranges where the inputs' statistics say that it costs least.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "bound.cc"
#include "target.h"

#include <hwy/foreach_target.h>

#include "include/PithBound.h"
#include "include/PithSweep.h"
#include "lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pith {
namespace HWY_NAMESPACE {
namespace {

constexpr size_t kPanel = PITH_BOUND_PANEL;
constexpr size_t kPanelVectors = kPanel / kLanes;

/// Values of a panel's inputs less what the multipliers of a list take from them.
HWY_INLINE void Subtract(const float *panel, const PithMultiplier *list, size_t count,
                         VecF *values) {
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

/// A row's ranges, and what lies within all of them.
struct RowRanges {
  const float *low, *high;
  float within_low, within_high;

  RowRanges(const float *lows, const float *highs, size_t groups)
      : low(lows), high(highs), within_low(lows[0]), within_high(highs[0]) {
    for (size_t group = 1; group < groups; ++group) {
      within_low = lows[group] > within_low ? lows[group] : within_low;
      within_high = highs[group] < within_high ? highs[group] : within_high;
    }
  }
};

/// Bits of the inputs that may lie outside their ranges, of those that there are.
HWY_INLINE uint32_t Suspects(const VecF *values, const RowRanges &ranges, uint32_t inside) {
  const TagF f;
  const VecF low = hn::Set(f, ranges.within_low), high = hn::Set(f, ranges.within_high);
  uint32_t bits = 0;
  for (size_t v = 0; v < kPanelVectors; ++v) {
    bits |= Bits(hn::Or(hn::Gt(values[v], high), hn::Lt(values[v], low))) << (v * kLanes);
  }
  return bits & inside;
}

/// Those of the suspects that do. Ranges are looked up for these alone: a gather for every input
/// is dear, and most panels have no suspect or one.
HWY_INLINE uint32_t Outside(uint32_t suspects, const int32_t *grids, const RowRanges &ranges,
                            const float *values) {
  uint32_t bits = 0;
  while (suspects != 0) {
    const size_t j = static_cast<size_t>(__builtin_ctz(suspects));
    suspects &= suspects - 1;
    const float x = values[j];
    const bool is = x > ranges.high[grids[j]] || x < ranges.low[grids[j]];
    bits |= static_cast<uint32_t>(is) << j;
  }
  return bits;
}

HWY_INLINE void LoadPanel(const float *from, VecF *values) {
  for (size_t v = 0; v < kPanelVectors; ++v) values[v] = hn::Load(TagF(), from + v * kLanes);
}

HWY_INLINE void StorePanel(const VecF *values, float *to) {
  for (size_t v = 0; v < kPanelVectors; ++v) hn::Store(values[v], TagF(), to + v * kLanes);
}

/// Hildreth's steps over one panel's inputs, twice: each multiplier in turn the one that brings its
/// input back to its limit, or none. `bits` are those that lie outside or are held at first, `held`
/// those whose multipliers are not zero then and, returned, in the end.
HWY_INLINE uint32_t Settle(const float *block, const int32_t *grids, const RowRanges &ranges,
                           uint32_t inside, uint32_t bits, uint32_t held, float *values,
                           float *multipliers) {
  const TagF f;
  for (int visit = 0; visit < 2; ++visit) {
    while (bits != 0) {
      const size_t j = 31 - static_cast<size_t>(__builtin_clz(bits));
      bits ^= uint32_t{1} << j;
      const float *line = block + j * kPanel;
      const float low = ranges.low[grids[j]], high = ranges.high[grids[j]];
      const float pivot = line[j], free = values[j] + multipliers[j] * pivot;
      const float next = !(pivot > 0) ? 0
                         : free > high ? (free - high) / pivot
                         : free < low  ? (free - low) / pivot
                                       : 0;
      const float step = next - multipliers[j];
      if (step == 0) continue;
      multipliers[j] = next;
      held = (held & ~(uint32_t{1} << j)) | static_cast<uint32_t>(next != 0) << j;
      const VecF x = hn::Set(f, step);
      for (size_t v = 0; v < kPanelVectors; ++v) {
        const size_t at = v * kLanes;
        hn::Store(hn::NegMulAdd(x, hn::LoadU(f, line + at), hn::Load(f, values + at)), f,
                  values + at);
      }
    }
    if (visit == 1) break;
    VecF now[kPanelVectors];
    LoadPanel(values, now);
    bits = Outside(Suspects(now, ranges, inside), grids, ranges, values) | held;
  }
  return held;
}

/// What one pass knows of a row.
struct RowLists {
  /// Multipliers of this pass, and of the last one; those of `last` before `*place` lie in panels
  /// that are done.
  PithMultiplier *list;
  uint32_t *count;
  const PithMultiplier *last;
  size_t last_count;
  uint32_t *place;
};

/// One row's inputs of one panel; of the last pass `line` becomes w less what the new list takes
/// from it, as far as the list goes now.
HWY_INLINE void Visit(const PithBounds &job, size_t first, const float *lines, bool is_last,
                      float *line, const RowRanges &ranges, const RowLists &row) {
  const TagF f;
  const size_t start = *row.place;
  size_t end = start;
  while (end < row.last_count && static_cast<size_t>(row.last[end].position) >= first) ++end;
  *row.place = static_cast<uint32_t>(end);
  VecF own[kPanelVectors], all[kPanelVectors];
  LoadPanel(line, own);
  Subtract(lines, row.list, *row.count, own);
  Subtract(lines, row.last + start, end - start, own);
  for (size_t v = 0; v < kPanelVectors; ++v) all[v] = own[v];
  // The last pass's multipliers of panels to come, for now.
  Subtract(lines, row.last + end, row.last_count - end, all);
  // Beyond the last input nothing is known of a range.
  const size_t count = job.width - first;
  const uint32_t inside = count < kPanel ? (uint32_t{1} << count) - 1 : ~uint32_t{0};
  const uint32_t suspects = Suspects(all, ranges, inside);
  if (suspects == 0 && start == end) {
    if (is_last) StorePanel(own, line);
    return;
  }
  HWY_ALIGN float values[kPanel], multipliers[kPanel] = {0};
  StorePanel(all, values);
  uint32_t held = 0;
  for (size_t i = start; i < end; ++i) {
    const size_t j = static_cast<size_t>(row.last[i].position) - first;
    multipliers[j] = row.last[i].value;
    held |= uint32_t{1} << j;
  }
  const int32_t *grids = job.grids + first;
  const uint32_t bits = Outside(suspects, grids, ranges, values) | held;
  held = Settle(lines + first * kPanel, grids, ranges, inside, bits, held, values, multipliers);
  if (is_last) {
    for (size_t v = 0; v < kPanelVectors; ++v) {
      const VecF ahead = hn::Sub(own[v], all[v]);
      hn::Store(hn::Add(hn::Load(f, values + v * kLanes), ahead), f, line + v * kLanes);
    }
  }
  while (held != 0) {
    const size_t j = static_cast<size_t>(__builtin_ctz(held));
    held &= held - 1;
    row.list[*row.count].position = static_cast<int32_t>(first + j);
    row.list[*row.count].value = multipliers[j];
    *row.count += 1;
  }
}

/// A row's weights in the factor's order, zeros beyond the last. Panel by panel, the rows of each
/// side by side: the inputs are far apart.
void Order(const PithBounds &job, const float *weights, size_t rows, size_t row, float *ordered) {
  const TagF f;
  const size_t whole = job.width / kLanes * kLanes;
  const size_t padded = (job.width + kPanel - 1) / kPanel * kPanel;
  const auto place = [&](size_t i) { return (i / kPanel * rows + row) * kPanel + i % kPanel; };
  for (size_t i = 0; i < whole; i += kLanes) {
    const VecI from = hn::LoadU(TagI(), job.inputs + i);
    hn::StoreU(hn::GatherIndex(f, weights, from), f, ordered + place(i));
  }
  for (size_t i = whole; i < padded; ++i) {
    ordered[place(i)] = i < job.width ? weights[static_cast<size_t>(job.inputs[i])] : 0;
  }
}

/// Rows whose numbers are turned about together.
constexpr size_t kStrip = 16;

/// Sixteen rows' numbers of one panel, row by row, to where rows lie side by side.
HWY_INLINE void Turn(const float *lines, size_t inside, float *to, size_t stride) {
  if (inside == kPanel) {
    for (size_t at = 0; at < kPanel; at += kStrip) {
      pith_turn_floats(lines + at, kPanel, to + at * stride, static_cast<ptrdiff_t>(stride));
    }
    return;
  }
  for (size_t row = 0; row < kStrip; ++row) {
    for (size_t j = 0; j < inside; ++j) to[j * stride + row] = lines[row * kPanel + j];
  }
}

/// What a panel's visit could not know yet, the multipliers of those after it, taken off as well;
/// a row's targets in one panel. Whether they are finite.
HWY_INLINE bool Finish(const float *lines, size_t first, const float *line,
                       const PithMultiplier *list, size_t count, uint32_t *place, float *targets) {
  size_t after = *place;
  while (after < count && static_cast<size_t>(list[after].position) >= first) ++after;
  *place = static_cast<uint32_t>(after);
  VecF sums[kPanelVectors];
  LoadPanel(line, sums);
  Subtract(lines, list + after, count - after, sums);
  StorePanel(sums, targets);
  bool finite = true;
  for (size_t v = 0; v < kPanelVectors; ++v) {
    finite = finite && hn::AllTrue(TagF(), hn::IsFinite(sums[v]));
  }
  return finite;
}

}  // namespace

void BoundRows(const PithBounds *work, const float *weights, const float *low, const float *high,
               size_t rows, const PithBoundRoom *own, float *targets, size_t stride,
               uint8_t *broken) {
  const PithBounds &job = *work;
  const PithBoundRoom &room = *own;
  const size_t width = job.width, panels = (width + kPanel - 1) / kPanel;
  const size_t pitch = pith_bound_pitch(width);
  for (size_t row = 0; row < rows; ++row) {
    Order(job, weights + row * width, rows, row, room.ordered);
  }
  memset(room.counts, 0, 2 * rows * sizeof(uint32_t));
  memset(broken, 0, rows);
  for (size_t pass = 0; pass < job.passes; ++pass) {
    // Lists of this pass and of the last one take turns.
    const size_t now = pass % 2 * rows, last = (pass + 1) % 2 * rows;
    memset(room.counts + now, 0, rows * sizeof(uint32_t));
    memset(room.places, 0, rows * sizeof(uint32_t));
    // The last positions, which a sweep rounds first, come first: what those after them push out
    // of range again the sweep can still make good.
    for (size_t panel = panels; panel-- > 0;) {
      const float *lines = job.inverse + panel * width * kPanel;
      for (size_t row = 0; row < rows; ++row) {
        const RowLists lists = {
            room.lists + (now + row) * pitch, room.counts + now + row,
            room.lists + (last + row) * pitch, room.counts[last + row], room.places + row};
        const RowRanges ranges(low + row * job.groups, high + row * job.groups, job.groups);
        Visit(job, panel * kPanel, lines, pass + 1 == job.passes,
              room.ordered + (panel * rows + row) * kPanel, ranges, lists);
      }
    }
  }
  const size_t found = (job.passes + 1) % 2 * rows;
  memset(room.places, 0, rows * sizeof(uint32_t));
  HWY_ALIGN float square[kStrip * kPanel];
  for (size_t panel = panels; panel-- > 0;) {
    const size_t first = panel * kPanel, inside = width - first < kPanel ? width - first : kPanel;
    const float *lines = job.inverse + panel * width * kPanel;
    for (size_t strip = 0; strip < (rows + stride - 1) / stride * stride; strip += kStrip) {
      for (size_t row = strip; row < strip + kStrip; ++row) {
        float *line = square + (row - strip) * kPanel;
        if (row >= rows) {
          memset(line, 0, kPanel * sizeof(float));
        } else if (!Finish(lines, first, room.ordered + (panel * rows + row) * kPanel,
                           room.lists + (found + row) * pitch, room.counts[found + row],
                           room.places + row, line)) {
          broken[row] = 1;
        }
      }
      Turn(square, inside,
           targets + (strip / stride * width + first) * stride + strip % stride, stride);
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
                     const float *high, size_t rows, const PithBoundRoom *room, float *targets,
                     size_t stride, uint8_t *broken) {
  PITH_DISPATCH(BoundRows)(job, weights, low, high, rows, room, targets, stride, broken);
}
}
}  // namespace pith
#endif
