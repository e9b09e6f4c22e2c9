// Codes of a block of inputs chosen together: the M-algorithm on a triangular factor.
//
// One row at a time; the lanes are its best partial choices.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "beam.cc"
#include "target.h"

#include <hwy/foreach_target.h>

#include <math.h>
#include <string.h>

#include <hwy/highway.h>

#include "include/PithSweep.h"

HWY_BEFORE_NAMESPACE();
namespace pith {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
namespace {

constexpr size_t kBeam = PITH_BEAM_WIDTH;
using Tag = hn::CappedTag<float, kBeam>;
using Vec = hn::Vec<Tag>;
constexpr size_t kWide = HWY_LANES(float) < kBeam ? HWY_LANES(float) : kBeam;
constexpr size_t kParts = kBeam / kWide;

/// A number of every partial choice.
struct Choices {
  Vec part[kParts];

  HWY_INLINE static Choices All(float x) {
    Choices r;
    for (size_t p = 0; p < kParts; ++p) r.part[p] = hn::Set(Tag(), x);
    return r;
  }
  HWY_INLINE static Choices Load(const float *source) {
    Choices r;
    for (size_t p = 0; p < kParts; ++p) r.part[p] = hn::Load(Tag(), source + p * kWide);
    return r;
  }
  HWY_INLINE void Store(float *target) const {
    for (size_t p = 0; p < kParts; ++p) hn::Store(part[p], Tag(), target + p * kWide);
  }
};

/// The extreme of all and the first place where it stands.
template <bool kLargest>
HWY_INLINE void Extreme(const Choices &c, float *value, size_t *place) {
  const Tag f;
  Vec all = c.part[0];
  for (size_t p = 1; p < kParts; ++p) {
    all = kLargest ? hn::Max(all, c.part[p]) : hn::Min(all, c.part[p]);
  }
  all = kLargest ? hn::MaxOfLanes(f, all) : hn::MinOfLanes(f, all);
  *value = hn::GetLane(all);
  *place = 0;
  for (size_t p = 0; p < kParts; ++p) {
    const intptr_t found = hn::FindFirstTrue(f, hn::Eq(c.part[p], all));
    if (found >= 0) {
      *place = p * kWide + static_cast<size_t>(found);
      return;
    }
  }
}

/// The numbers of the parents: lane i gets that of `parents[i]`.
HWY_INLINE Choices Inherited(const Choices &c, const int32_t *parents) {
  if constexpr (kParts == 1) {
    Choices r;
    const auto index = hn::SetTableIndices(Tag(), parents);
    r.part[0] = hn::TableLookupLanes(c.part[0], index);
    return r;
  } else {
    HWY_ALIGN float from[kBeam], to[kBeam];
    c.Store(from);
    for (size_t i = 0; i < kBeam; ++i) to[i] = from[parents[i]];
    return Choices::Load(to);
  }
}

/// What a row's partial choices are, column by column, for the way back.
struct Trace {
  uint8_t code[kBeam];
  uint8_t parent[kBeam];
};

struct Column {
  float value, scale, zero, top;
  bool kept;
};

/// Both children of every choice: the nearest code and the next one on the wanted value's side.
struct Children {
  Choices code[2], change[2], loss[2];

  HWY_INLINE Children(const Column &column, const Choices &wanted, const Choices &partial,
                      const Choices &loss_so_far, float pivot) {
    const Tag f;
    const Vec magic = hn::Set(f, 12582912.0f);
    const Vec scale = hn::Set(f, column.scale), value = hn::Set(f, column.value);
    const Vec low = hn::Set(f, -column.zero), high = hn::Set(f, column.top - column.zero);
    const Vec inverse = hn::Set(f, 1.0f / column.scale), d = hn::Set(f, pivot);
    const Vec none = hn::Set(f, INFINITY);
    for (size_t p = 0; p < kParts; ++p) {
      const Vec x = hn::Mul(wanted.part[p], inverse);
      const Vec inside = hn::Min(hn::Max(x, low), high);
      const Vec nearest = hn::Sub(hn::Add(inside, magic), magic);
      const Vec side = hn::IfThenElse(hn::Ge(x, nearest), hn::Set(f, 1.0f), hn::Set(f, -1.0f));
      const Vec next = hn::Min(hn::Max(hn::Add(nearest, side), low), high);
      code[0].part[p] = nearest;
      code[1].part[p] = next;
      for (size_t child = 0; child < 2; ++child) {
        change[child].part[p] = hn::Sub(value, hn::Mul(code[child].part[p], scale));
        const Vec e = hn::MulAdd(d, change[child].part[p], partial.part[p]);
        loss[child].part[p] = hn::MulAdd(e, e, loss_so_far.part[p]);
      }
      loss[1].part[p] =
          hn::IfThenElse(hn::Eq(next, nearest), none, loss[1].part[p]);
    }
  }
};

/// The least loss of one row; its codes go to `codes`, `stride` apart.
HWY_INLINE float BeamRow(
    const PithColumns &columns, const float *factor, const float *residuals, size_t row) {
  const Tag f;
  const size_t count = columns.count, stride = columns.stride;
  HWY_ALIGN float ahead[PITH_SWEEP_COLUMNS * kBeam];
  Trace trace[PITH_SWEEP_COLUMNS];
  HWY_ALIGN float start[kBeam];
  for (size_t i = 0; i < kBeam; ++i) start[i] = i == 0 ? 0.0f : INFINITY;
  Choices loss = Choices::Load(start);
  for (size_t i = 0; i < count; ++i) {
    const size_t at = i * stride + row;
    const size_t grid = static_cast<size_t>(columns.grid_index[i]) * stride + row;
    Column column = {columns.targets[at], columns.scales[grid], columns.zeros[grid],
                     static_cast<float>(columns.top),
                     columns.kept == nullptr || columns.kept[at] != 0};
    const float pivot = factor[i * count + i];
    const float *line = factor + i * count;
    Choices partial = Choices::All(residuals[at]);
    if (i > 0) {
      for (size_t p = 0; p < kParts; ++p) {
        partial.part[p] =
            hn::Add(partial.part[p], hn::Load(f, ahead + i * kBeam + p * kWide));
      }
    }
    Trace &step = trace[i];
    if (!column.kept) {
      for (size_t p = 0; p < kParts; ++p) {
        loss.part[p] = hn::MulAdd(partial.part[p], partial.part[p], loss.part[p]);
      }
      for (size_t k = 0; k < kBeam; ++k) {
        step.code[k] = static_cast<uint8_t>(column.zero);
        step.parent[k] = static_cast<uint8_t>(k);
      }
      if (i == 0) memset(ahead, 0, count * kBeam * sizeof(float));
      continue;
    }
    Choices wanted;
    const Vec share = hn::Set(f, 1.0f / pivot), value = hn::Set(f, column.value);
    for (size_t p = 0; p < kParts; ++p) {
      wanted.part[p] = hn::MulAdd(partial.part[p], share, value);
    }
    const Children children(column, wanted, partial, loss, pivot);
    loss = children.loss[0];
    Choices change = children.change[0];
    HWY_ALIGN float codes[kBeam], others[kBeam], losses[kBeam], rivals[kBeam], changes[kBeam],
        rival_changes[kBeam];
    children.code[0].Store(codes);
    // The best second children take the places of the worst first ones.
    HWY_ALIGN int32_t parents[kBeam];
    for (size_t k = 0; k < kBeam; ++k) parents[k] = static_cast<int32_t>(k);
    float worst, best;
    size_t out, in;
    Extreme<true>(loss, &worst, &out);
    Extreme<false>(children.loss[1], &best, &in);
    const bool changed = best < worst;
    if (changed) {
      children.code[1].Store(others);
      children.change[1].Store(rival_changes);
      change.Store(changes);
      Choices rival = children.loss[1];
      loss.Store(losses);
      rival.Store(rivals);
      do {
        parents[out] = static_cast<int32_t>(in);
        codes[out] = others[in];
        changes[out] = rival_changes[in];
        losses[out] = best;
        rivals[in] = INFINITY;
        loss = Choices::Load(losses);
        rival = Choices::Load(rivals);
        Extreme<true>(loss, &worst, &out);
        Extreme<false>(rival, &best, &in);
      } while (best < worst);
      change = Choices::Load(changes);
    }
    for (size_t k = 0; k < kBeam; ++k) {
      step.code[k] = static_cast<uint8_t>(codes[k] + column.zero);
      step.parent[k] = static_cast<uint8_t>(parents[k]);
    }
    if (i == 0) {
      for (size_t j = 1; j < count; ++j) {
        for (size_t p = 0; p < kParts; ++p) {
          hn::Store(hn::Mul(hn::Set(f, line[j]), change.part[p]), f,
                    ahead + j * kBeam + p * kWide);
        }
      }
    } else if (changed) {
      for (size_t j = i + 1; j < count; ++j) {
        const Choices old = Inherited(Choices::Load(ahead + j * kBeam), parents);
        for (size_t p = 0; p < kParts; ++p) {
          hn::Store(hn::MulAdd(hn::Set(f, line[j]), change.part[p], old.part[p]), f,
                    ahead + j * kBeam + p * kWide);
        }
      }
    } else {
      for (size_t j = i + 1; j < count; ++j) {
        for (size_t p = 0; p < kParts; ++p) {
          float *to = ahead + j * kBeam + p * kWide;
          hn::Store(hn::MulAdd(hn::Set(f, line[j]), change.part[p], hn::Load(f, to)), f, to);
        }
      }
    }
  }
  float least;
  size_t lane;
  Extreme<false>(loss, &least, &lane);
  for (size_t i = count; i-- > 0;) {
    columns.codes[static_cast<size_t>(columns.code_index[i]) * stride + row] =
        trace[i].code[lane];
    lane = trace[i].parent[lane];
  }
  return least;
}

}  // namespace

void BeamInteger(
    const PithColumns *columns, size_t rows, const float *factor, const float *residuals,
    float *gains) {
  for (size_t row = 0; row < rows; ++row) {
    float before = 0;
    for (size_t i = 0; i < columns->count; ++i) {
      const float u = residuals[i * columns->stride + row];
      before += u * u;
    }
    const float after = BeamRow(*columns, factor, residuals, row);
    // Only what gains more than the roundings of its own computation counts.
    gains[row] = after < before * (1 - 1e-5f) ? before - after : 0;
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace pith
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pith {
extern "C" {

void pith_beam_integer(
    const PithColumns *columns, size_t rows, const float *factor, const float *residuals,
    float *gains) {
  PITH_DISPATCH(BeamInteger)(columns, rows, factor, residuals, gains);
}
}
}  // namespace pith
#endif
