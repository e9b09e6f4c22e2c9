// The plain twins of prune_sweep.cc, and what has no faster form.
#include <string.h>

#include <limits>
#include <vector>

#include "include/PithSparse.h"
#include "include/PithSweep.h"
#include "prune_pattern.h"

#pragma clang fp contract(off)

namespace {

using pith::kJointGroup;
using pith::kPruneWays;

/// (sums[i] + Σ_{j > i} line[j] · L[j][i]) / L[i][i] for one row; i's group ends before `to`.
float Update(const PithPruneRun &run, size_t row, size_t i, size_t to, const float *line) {
  float sums[kPruneWays] = {run.sums == nullptr ? 0 : run.sums[i * run.stride + row]};
  const float *factor = run.factor + i * run.count;
  const size_t whole = (run.count - to) / kPruneWays * kPruneWays;
  for (size_t k = 0; k < run.count - to; ++k) {
    sums[k < whole ? k % kPruneWays : 0] += factor[to + k] * line[to + k];
  }
  float total = sums[0];
  for (size_t w = 1; w < kPruneWays; ++w) total += sums[w];
  for (size_t j = i + 1; j < to; ++j) total += factor[j] * line[j];
  return total * (1.0f / factor[i]);
}

float Score(float value, float pivot) { return value * pivot * (value * pivot); }

/// The columns of a group that go, as bits in the sweep's order: every set is tried, those that
/// begin with earlier columns first.
uint32_t Cheapest(
    const PithPruneRun &run, size_t row, size_t to, size_t of, size_t gone, const float *line) {
  const pith::PatternShares shares(run, to, of);
  float alone[kJointGroup];
  for (size_t p = 0; p < of; ++p) {
    const size_t i = to - 1 - p;
    alone[p] = (run.targets[i * run.stride + row] - line[i]) * run.factor[i * run.count + i];
  }
  float best = std::numeric_limits<float>::infinity();
  uint32_t chosen = (1u << gone) - 1;
  // Read with the first column as the highest digit, sets fall from the first to the last.
  for (uint32_t digits = (1u << of); digits-- > 0;) {
    if (static_cast<size_t>(__builtin_popcount(digits)) != gone) continue;
    std::vector<size_t> set;
    std::vector<float> errors;
    float cost = 0;
    uint32_t bits = 0;
    for (size_t p = 0; p < of; ++p) {
      if ((digits >> (of - 1 - p) & 1) == 0) continue;
      float error = alone[p];
      for (size_t k = 0; k < set.size(); ++k) error -= errors[k] * shares.share[set[k]][p];
      set.push_back(p);
      errors.push_back(error);
      cost += error * error;
      bits |= 1u << p;
    }
    if (cost < best) {
      best = cost;
      chosen = bits;
    }
  }
  return chosen;
}

/// Chooses among columns first..<to of one row.
void Choose(const PithPruneRun &run, size_t row, size_t first, size_t to, float *line) {
  float scores[PITH_PRUNE_COLUMNS];
  bool is_whole = true;
  for (size_t p = to; p-- > first;) {
    const float update = Update(run, row, p, to, line);
    line[p] = -update;
    const float value = run.targets[p * run.stride + row] + update;
    const bool kept = run.kept[p * run.stride + row] != 0;
    is_whole = is_whole && kept;
    scores[p] = kept ? Score(value, run.factor[p * run.count + p]) : -1;
  }
  const size_t of = to - first;
  const size_t gone = of - static_cast<size_t>(run.keep);
  if (is_whole && of <= kJointGroup && gone > 0) {
    const uint32_t bits = Cheapest(run, row, to, of, gone, line);
    for (size_t p = 0; p < of; ++p) {
      if ((bits >> p & 1) != 0) run.kept[(to - 1 - p) * run.stride + row] = 0;
    }
    return;
  }
  for (size_t p = first; p < to; ++p) {
    size_t smaller = 0;
    for (size_t k = first; k < to; ++k) {
      if (scores[k] < scores[p] || (scores[k] == scores[p] && k > p)) ++smaller;
    }
    if (smaller < gone) run.kept[p * run.stride + row] = 0;
  }
}

}  // namespace

extern "C" {

double pith_prune_sweep_reference(const PithPruneRun *run) {
  const size_t of = static_cast<size_t>(run->of);
  double loss = 0, chunk = 0;
  float line[PITH_PRUNE_COLUMNS];
  for (size_t row = 0; row < run->stride; ++row) {
    double squares = 0;
    size_t end = run->count;
    for (size_t i = run->count; i-- > 0;) {
      if (of == 0 || (run->count - 1 - i) % of == 0) end = i + 1;
      const float pivot = run->factor[i * run->count + i];
      if (of > 0 && (run->count - 1 - i) % of == 0) Choose(*run, row, i + 1 - of, i + 1, line);
      const size_t at = i * run->stride + row;
      const float update = Update(*run, row, i, end, line);
      const float wanted = run->targets[at] + update;
      const bool kept = run->kept[at] != 0;
      float error = kept ? 0 : wanted * pivot;
      line[i] = kept ? -update : run->targets[at];
      if (run->codes != nullptr) {
        const size_t grid = static_cast<size_t>(run->grid_index[i]) * run->stride + row;
        const float zero = run->zeros[grid];
        float steps = wanted / run->scales[grid];
        steps = steps > -zero ? steps : -zero;
        const float high = static_cast<float>(run->top) - zero;
        steps = steps < high ? steps : high;
        steps = kept ? (steps + 12582912.0f) - 12582912.0f : 0;
        run->codes[at] = static_cast<uint8_t>(steps + zero);
        const float value = steps * run->scales[grid];
        line[i] = run->targets[at] - value;
        error = (wanted - value) * pivot;
      }
      run->differences[at] = line[i];
      if (run->errors != nullptr) run->errors[at] = error;
      squares += static_cast<double>(error) * static_cast<double>(error);
    }
    chunk += squares;
    if ((row + 1) % PITH_SWEEP_LANES == 0) {
      loss += chunk;
      chunk = 0;
    }
  }
  return loss;
}

void pith_prune_look_reference(const PithPruneRun *run, float *wanted, uint32_t *keys) {
  float line[PITH_PRUNE_COLUMNS];
  for (size_t row = 0; row < run->stride; ++row) {
    for (size_t i = run->count; i-- > 0;) {
      const size_t at = i * run->stride + row;
      const float update = Update(*run, row, i, i + 1, line);
      line[i] = -update;
      const float value = run->targets[at] + update;
      if (wanted != nullptr) wanted[at] = value;
      if (keys == nullptr) continue;
      const float score = Score(value, run->factor[i * run->count + i]);
      uint32_t bits;
      memcpy(&bits, &score, 4);
      keys[at] = run->kept[at] != 0 ? bits + 1 : 0;
    }
  }
}

uint32_t pith_select_key(
    const uint32_t *keys, size_t count, size_t rank, size_t *below, size_t *equal) {
  // Three digits of eleven bits, the highest first.
  constexpr uint32_t bits = 11;
  uint32_t found = 0;
  size_t left = rank;
  size_t histogram[1 << bits];
  *equal = count;
  for (uint32_t shift : {22u, 11u, 0u}) {
    memset(histogram, 0, sizeof(histogram));
    if (shift == 22) {
      for (size_t i = 0; i < count; ++i) ++histogram[keys[i] >> 22 & 0x7FF];
    } else {
      const uint32_t above = shift + bits;
      for (size_t i = 0; i < count; ++i) {
        if (keys[i] >> above == found >> above) ++histogram[keys[i] >> shift & 0x7FF];
      }
    }
    for (uint32_t digit = 0; digit < 1 << bits; ++digit) {
      if (left < histogram[digit]) {
        found |= digit << shift;
        *equal = histogram[digit];
        break;
      }
      left -= histogram[digit];
    }
  }
  *below = rank - left;
  return found;
}

void pith_reversed_lanes(
    const float *values, size_t rows, size_t columns, size_t stride, float *target) {
  // Squares of sixteen, by way of a small one: rows a power of two apart share few cache sets.
  float square[16][16];
  for (size_t first = 0; first < stride; first += 16) {
    const size_t inside = first >= rows ? 0 : rows - first < 16 ? rows - first : 16;
    memset(square, 0, sizeof(square));
    for (size_t c = 0; c < columns; c += 16) {
      const size_t wide = columns - c < 16 ? columns - c : 16;
      for (size_t r = 0; r < inside; ++r) {
        const float *from = values + (first + r) * columns + c;
        for (size_t j = 0; j < wide; ++j) square[j][r] = from[j];
      }
      for (size_t j = 0; j < wide; ++j) {
        memcpy(target + (columns - 1 - c - j) * stride + first, square[j], sizeof(square[j]));
      }
    }
  }
}

double pith_survivors_from_lanes_reference(
    const float *targets, const float *differences, const uint8_t *kept, size_t rows,
    size_t columns, size_t stride, float *values, uint8_t *bits) {
  const size_t bytes = (columns + 7) / 8;
  memset(bits, 0, rows * bytes);
  double sum = 0;
  for (size_t row = 0; row < rows; ++row) {
    double squares = 0;
    for (size_t c = 0; c < columns; ++c) {
      const size_t at = (columns - 1 - c) * stride + row;
      const float difference = differences[at];
      values[row * columns + c] = kept[at] != 0 ? targets[at] - difference : 0;
      if (kept[at] != 0) bits[row * bytes + c / 8] |= static_cast<uint8_t>(1 << c % 8);
      squares += static_cast<double>(difference) * static_cast<double>(difference);
    }
    sum += squares;
  }
  return sum;
}
}
