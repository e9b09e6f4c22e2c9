// The column loop of calibrated pruning, rows as lanes.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "prune_sweep.cc"
#include "target.h"

#include <hwy/foreach_target.h>

#include "include/PithSparse.h"
#include "include/PithSweep.h"
#include "kept-inl.h"
#include "prune_pattern.h"

// Products and sums stay apart, in one order: the same bits on every instruction set.
#pragma clang fp contract(off)

HWY_BEFORE_NAMESPACE();
namespace pith {
namespace HWY_NAMESPACE {
namespace {

/// Vectors of one chunk of rows: PITH_SWEEP_LANES in all.
constexpr size_t kChunk = PITH_SWEEP_LANES;
constexpr size_t kChunkVectors = kChunk / kLanes;

/// One chunk of rows of a run.
struct Chunk {
  const PithPruneRun &run;
  size_t row;
  /// The differences of the chunk's columns side by side.
  HWY_ALIGN float lines[PITH_PRUNE_COLUMNS * kChunk];
  HWY_ALIGN float scores[PITH_PRUNE_COLUMNS * kChunk];
  HWY_ALIGN float outer[PITH_PRUNE_COLUMNS * kChunk];

  HWY_INLINE Chunk(const PithPruneRun &r, size_t first) : run(r), row(first) {}

  /// sums[i] + Σ_{j ≥ to} lines[j] · L[j][i]: what columns beyond the group of i have left behind, to
  /// `outer`.
  ///
  /// Four sums in turn, the first with what is given and with what is left over; two vectors at a
  /// time, so that they stay in registers everywhere.
  HWY_INLINE void Outer(size_t i, size_t to) {
    const TagF f;
    constexpr size_t kPair = kChunkVectors < 2 ? kChunkVectors : 2;
    const float *factor = run.factor + i * run.count;
    for (size_t first = 0; first < kChunkVectors; first += kPair) {
      VecF sums[kPruneWays][kPair];
      for (size_t w = 0; w < kPruneWays; ++w) {
        for (size_t v = 0; v < kPair; ++v) sums[w][v] = hn::Zero(f);
      }
      if (run.sums != nullptr) {
        for (size_t v = 0; v < kPair; ++v) {
          sums[0][v] = hn::LoadU(f, run.sums + i * run.stride + row + (first + v) * kLanes);
        }
      }
      const float *from = lines + first * kLanes;
      size_t j = to;
      for (; j + kPruneWays <= run.count; j += kPruneWays) {
        for (size_t w = 0; w < kPruneWays; ++w) {
          const VecF c = hn::Set(f, factor[j + w]);
          for (size_t v = 0; v < kPair; ++v) {
            const VecF line = hn::Load(f, from + (j + w) * kChunk + v * kLanes);
            sums[w][v] = hn::Add(sums[w][v], hn::Mul(c, line));
          }
        }
      }
      for (; j < run.count; ++j) {
        const VecF c = hn::Set(f, factor[j]);
        for (size_t v = 0; v < kPair; ++v) {
          const VecF line = hn::Load(f, from + j * kChunk + v * kLanes);
          sums[0][v] = hn::Add(sums[0][v], hn::Mul(c, line));
        }
      }
      for (size_t v = 0; v < kPair; ++v) {
        VecF total = sums[0][v];
        for (size_t w = 1; w < kPruneWays; ++w) total = hn::Add(total, sums[w][v]);
        hn::Store(total, f, outer + i * kChunk + (first + v) * kLanes);
      }
    }
  }

  /// (outer + Σ_{i < j < to} lines[j] · L[j][i]) / L[i][i], i's group ending before `to`.
  HWY_INLINE void Updates(size_t i, size_t to, VecF (&update)[kChunkVectors]) const {
    const TagF f;
    const float *factor = run.factor + i * run.count;
    const VecF inverse = hn::Set(f, 1.0f / factor[i]);
    for (size_t v = 0; v < kChunkVectors; ++v) {
      VecF total = hn::Load(f, outer + i * kChunk + v * kLanes);
      for (size_t j = i + 1; j < to; ++j) {
        const VecF line = hn::Load(f, lines + j * kChunk + v * kLanes);
        total = hn::Add(total, hn::Mul(hn::Set(f, factor[j]), line));
      }
      update[v] = hn::Mul(total, inverse);
    }
  }

  /// What columns from..<to would stand for, the last one first, if none of them lost anything;
  /// their scores to `scores`.
  ///
  /// Columns from..<to of a pattern are a group; otherwise each is one by itself.
  HWY_INLINE void Look(size_t from, size_t to, bool is_group, float *wanted) {
    const TagF f;
    for (size_t i = to; i-- > from;) {
      VecF update[kChunkVectors];
      const size_t end = is_group ? to : i + 1;
      Outer(i, end);
      Updates(i, end, update);
      const VecF pivot = hn::Set(f, run.factor[i * run.count + i]);
      for (size_t v = 0; v < kChunkVectors; ++v) {
        const size_t at = i * run.stride + row + v * kLanes;
        const VecF value = hn::Add(hn::LoadU(f, run.targets + at), update[v]);
        hn::Store(hn::Neg(update[v]), f, lines + i * kChunk + v * kLanes);
        const VecF scaled = hn::Mul(value, pivot);
        hn::Store(hn::Mul(scaled, scaled), f, scores + i * kChunk + v * kLanes);
        if (wanted != nullptr) hn::StoreU(value, f, wanted + at);
      }
    }
  }

  /// Of columns from..<to the `keep` best are kept, with what was dropped staying so; among equals
  /// the one that is swept first, the lower input, goes first.
  HWY_INLINE void ChooseOneByOne(size_t from, size_t to) {
    const TagF f;
    const VecF none = hn::Set(f, -1.0f);
    for (size_t i = from; i < to; ++i) {
      for (size_t v = 0; v < kChunkVectors; ++v) {
        float *score = scores + i * kChunk + v * kLanes;
        const MaskF kept = Kept(run.kept + i * run.stride + row + v * kLanes);
        hn::Store(hn::IfThenElse(kept, hn::Load(f, score), none), f, score);
      }
    }
    const VecF one = hn::Set(f, 1.0f);
    const VecF drop = hn::Set(f, static_cast<float>(run.of - run.keep));
    for (size_t i = from; i < to; ++i) {
      for (size_t v = 0; v < kChunkVectors; ++v) {
        const VecF own = hn::Load(f, scores + i * kChunk + v * kLanes);
        VecF smaller = hn::Zero(f);
        for (size_t k = from; k < to; ++k) {
          if (k == i) continue;
          const VecF other = hn::Load(f, scores + k * kChunk + v * kLanes);
          const MaskF before = k > i ? hn::Le(other, own) : hn::Lt(other, own);
          smaller = hn::Add(smaller, hn::IfThenElseZero(before, one));
        }
        uint8_t *flags = run.kept + i * run.stride + row + v * kLanes;
        StoreKept(hn::And(Kept(flags), hn::Ge(smaller, drop)), flags);
      }
    }
  }

  /// Of columns from..<to those go whose sweep loses least together, where all are still kept; the
  /// errors that columns inherit within the group are counted. Of equals the set goes that begins
  /// with the lower inputs.
  HWY_INLINE void ChooseTogether(size_t from, size_t to, const MaskF (&whole)[kChunkVectors]) {
    const TagF f;
    const TagI n;
    const size_t of = to - from;
    const size_t gone = of - static_cast<size_t>(run.keep);
    const PatternShares shares(run, to, of);
    for (size_t v = 0; v < kChunkVectors; ++v) {
      // By how many columns are gone already: the errors of those that follow.
      VecF errors[kJointGroup][kJointGroup];
      for (size_t p = 0; p < of; ++p) {
        const size_t i = to - 1 - p;
        const size_t at = i * run.stride + row + v * kLanes;
        const VecF line = hn::Load(f, lines + i * kChunk + v * kLanes);
        const VecF pivot = hn::Set(f, run.factor[i * run.count + i]);
        errors[0][p] = hn::Mul(hn::Sub(hn::LoadU(f, run.targets + at), line), pivot);
      }
      VecF costs[kJointGroup];
      size_t set[kJointGroup];
      int32_t bits[kJointGroup] = {0};
      VecF best = hn::Inf(f);
      VecI chosen = hn::Set(n, (1 << gone) - 1);
      size_t depth = 0, next = 0;
      costs[0] = hn::Zero(f);
      for (;;) {
        if (next > of - (gone - depth)) {
          if (depth == 0) break;
          next = set[--depth] + 1;
          continue;
        }
        const VecF error = errors[depth][next];
        const VecF cost = hn::Add(costs[depth], hn::Mul(error, error));
        const int32_t own = bits[depth] | 1 << next;
        if (depth + 1 < gone) {
          for (size_t p = next + 1; p < of; ++p) {
            const VecF inherited = hn::Mul(error, hn::Set(f, shares.share[next][p]));
            errors[depth + 1][p] = hn::Sub(errors[depth][p], inherited);
          }
          set[depth++] = next;
          costs[depth] = cost;
          bits[depth] = own;
        } else {
          const MaskF better = hn::Lt(cost, best);
          best = hn::IfThenElse(better, cost, best);
          chosen = hn::IfThenElse(hn::RebindMask(n, better), hn::Set(n, own), chosen);
        }
        ++next;
      }
      for (size_t p = 0; p < of; ++p) {
        uint8_t *flags = run.kept + (to - 1 - p) * run.stride + row + v * kLanes;
        const VecI bit = hn::And(chosen, hn::Set(n, 1 << p));
        const MaskF stays = hn::RebindMask(f, hn::Eq(bit, hn::Zero(n)));
        const MaskF other = Kept(flags);
        StoreKept(hn::Or(hn::And(whole[v], stays), hn::AndNot(whole[v], other)), flags);
      }
    }
  }

  /// Which of columns from..<to are kept.
  ///
  /// Rows that lost something before, and longer groups, go column by column.
  HWY_INLINE void Choose(size_t from, size_t to) {
    Look(from, to, true, nullptr);
    MaskF whole[kChunkVectors];
    bool is_whole = true;
    for (size_t v = 0; v < kChunkVectors; ++v) {
      whole[v] = Kept(run.kept + from * run.stride + row + v * kLanes);
      for (size_t i = from + 1; i < to; ++i) {
        whole[v] = hn::And(whole[v], Kept(run.kept + i * run.stride + row + v * kLanes));
      }
      is_whole = is_whole && hn::AllTrue(TagF(), whole[v]);
    }
    const bool is_joint = to - from <= kJointGroup && run.keep < run.of;
    if (!is_joint || !is_whole) ChooseOneByOne(from, to);
    if (is_joint) ChooseTogether(from, to, whole);
  }

  /// The nearest value on a column's grid and its code; zero's code where an entry is dropped.
  HWY_INLINE VecF Rounded(size_t i, size_t v, VecF wanted, MaskF kept) const {
    const TagF f;
    const size_t grid = static_cast<size_t>(run.grid_index[i]) * run.stride + row + v * kLanes;
    const VecF scale = hn::LoadU(f, run.scales + grid);
    const VecF zero = hn::LoadU(f, run.zeros + grid);
    const VecF high = hn::Sub(hn::Set(f, static_cast<float>(run.top)), zero);
    const VecF magic = hn::Set(f, 12582912.0f);
    const VecF held = hn::Min(hn::Max(hn::Div(wanted, scale), hn::Neg(zero)), high);
    const VecF steps = hn::IfThenElseZero(kept, hn::Sub(hn::Add(held, magic), magic));
    const VecI code = hn::ConvertTo(TagI(), hn::Add(steps, zero));
    hn::StoreU(hn::DemoteTo(TagB(), code), TagB(), run.codes + i * run.stride + row + v * kLanes);
    return hn::Mul(steps, scale);
  }

  HWY_INLINE double Sweep() {
    const TagF f;
    const size_t count = run.count;
    const size_t of = static_cast<size_t>(run.of);
    VecD loss[2 * kChunkVectors];
    for (VecD &sum : loss) sum = hn::Zero(TagD());
    size_t end = count;
    for (size_t i = count; i-- > 0;) {
      if (of == 0) {
        end = i + 1;
        Outer(i, end);
      } else if ((count - 1 - i) % of == 0) {
        end = i + 1;
        Choose(end - of, end);
      }
      VecF update[kChunkVectors];
      Updates(i, end, update);
      const VecF pivot = hn::Set(f, run.factor[i * count + i]);
      for (size_t v = 0; v < kChunkVectors; ++v) {
        const size_t at = i * run.stride + row + v * kLanes;
        const MaskF kept = Kept(run.kept + at);
        const VecF target = hn::LoadU(f, run.targets + at);
        const VecF wanted = hn::Add(target, update[v]);
        VecF difference, error;
        if (run.codes != nullptr) {
          const VecF value = Rounded(i, v, wanted, kept);
          difference = hn::Sub(target, value);
          error = hn::Mul(hn::Sub(wanted, value), pivot);
        } else {
          difference = hn::IfThenElse(kept, hn::Neg(update[v]), target);
          error = hn::IfThenZeroElse(kept, hn::Mul(wanted, pivot));
        }
        hn::Store(difference, f, lines + i * kChunk + v * kLanes);
        hn::StoreU(difference, f, run.differences + at);
        if (run.errors != nullptr) hn::StoreU(error, f, run.errors + at);
        const VecD low = LowerDouble(error), high = UpperDouble(error);
        loss[2 * v] = hn::MulAdd(low, low, loss[2 * v]);
        loss[2 * v + 1] = hn::MulAdd(high, high, loss[2 * v + 1]);
      }
    }
    double sum = 0;
    for (const VecD &part : loss) {
      double lanes[kLanes];
      hn::StoreU(part, TagD(), lanes);
      for (size_t i = 0; i < kLanes / 2; ++i) sum += lanes[i];
    }
    return sum;
  }
};

}  // namespace

double PruneSweep(const PithPruneRun *run) {
  double loss = 0;
  for (size_t row = 0; row < run->stride; row += kChunk) loss += Chunk(*run, row).Sweep();
  return loss;
}

void PruneLook(const PithPruneRun *run, float *wanted, uint32_t *keys) {
  const TagF f;
  const TagU u;
  for (size_t row = 0; row < run->stride; row += kChunk) {
    Chunk chunk(*run, row);
    chunk.Look(0, run->count, false, wanted);
    if (keys == nullptr) continue;
    for (size_t i = 0; i < run->count; ++i) {
      for (size_t v = 0; v < kChunkVectors; ++v) {
        const size_t at = i * run->stride + row + v * kLanes;
        const VecU bits = hn::BitCast(u, hn::Load(f, chunk.scores + i * kChunk + v * kLanes));
        const auto kept = hn::RebindMask(u, Kept(run->kept + at));
        hn::StoreU(hn::IfThenElseZero(kept, hn::Add(bits, hn::Set(u, 1))), u, keys + at);
      }
    }
  }
}

void DropKeys(const uint32_t *keys, size_t count, uint32_t threshold, uint8_t *kept) {
  const TagU u;
  const auto limit = hn::Set(u, threshold);
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const MaskF stays = hn::RebindMask(TagF(), hn::Gt(hn::LoadU(u, keys + i), limit));
    StoreKept(hn::And(stays, Kept(kept + i)), kept + i);
  }
  for (; i < count; ++i) kept[i] = keys[i] > threshold ? kept[i] : 0;
}

}  // namespace HWY_NAMESPACE
}  // namespace pith
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pith {
extern "C" {

double pith_prune_sweep(const PithPruneRun *run) { return PITH_DISPATCH(PruneSweep)(run); }
void pith_prune_look(const PithPruneRun *run, float *wanted, uint32_t *keys) {
  PITH_DISPATCH(PruneLook)(run, wanted, keys);
}
void pith_drop_keys(const uint32_t *keys, size_t count, uint32_t threshold, uint8_t *kept) {
  PITH_DISPATCH(DropKeys)(keys, count, threshold, kept);
}
}
}  // namespace pith
#endif
