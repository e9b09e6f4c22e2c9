// Normal equations of the scales, out of a sweep's own factor (PithSweep.h); rows as lanes.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "refit.cc"
#include "target.h"

#include <hwy/foreach_target.h>

#include "include/PithSweep.h"
#include "lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pith {
namespace HWY_NAMESPACE {
namespace {

constexpr size_t kChunk = PITH_SWEEP_LANES;
constexpr size_t kChunkVectors = kChunk / kLanes;
constexpr size_t kPanel = PITH_REFIT_PANEL;
/// Products that are added up before their sums meet memory.
constexpr size_t kDepth = 2 * kPanel;
/// Columns whose sums fit the registers.
constexpr size_t kAcross = kChunkVectors <= 2 ? 8 : kChunkVectors <= 4 ? 2 : 1;
/// Groups whose products are made together.
constexpr size_t kSide = 4;

/// A chunk's codes in the members' order, or its steps in pairs, and what damping has added to the
/// equations.
template <bool kFixed>
HWY_INLINE void Gather(const PithRefit &job, size_t row, void *steps, float *left, float *right) {
  uint8_t *codes = static_cast<uint8_t *>(steps);
  uint32_t *pairs = static_cast<uint32_t *>(steps);
  const size_t each = (job.members + 1) / 2;
  const TagF f;
  const size_t padded = pith_refit_padded(job.groups);
  const VecF damping = hn::Set(f, -job.damping);
  for (size_t group = 0; group < job.groups; ++group) {
    for (size_t v = 0; v < kChunkVectors; ++v) {
      const size_t at = row + v * kLanes;
      const VecF zero = hn::LoadU(f, job.zeros + group * job.stride + at);
      VecF squares = hn::Zero(f), products = hn::Zero(f);
      for (size_t m = group * job.members; m < (group + 1) * job.members; ++m) {
        const auto code = hn::LoadU(
            TagB(), job.codes + static_cast<size_t>(job.columns[m]) * job.stride + at);
        const VecF step = hn::Sub(hn::ConvertTo(f, hn::PromoteTo(TagI(), code)), zero);
        if (kFixed) {
          const size_t inside = m - group * job.members;
          uint32_t *to = pairs + (group * each + inside / 2) * kChunk + v * kLanes;
          const VecU half = hn::And(hn::BitCast(TagU(), hn::ConvertTo(TagI(), step)),
                                    hn::Set(TagU(), 0xFFFF));
          // The first of a pair also clears the second, which an odd end lacks.
          hn::StoreU(inside % 2 == 0 ? half
                                     : hn::Or(hn::LoadU(TagU(), to), hn::ShiftLeft<16>(half)),
                     TagU(), to);
        } else {
          hn::StoreU(code, TagB(), codes + m * kChunk + v * kLanes);
        }
        const size_t place = static_cast<size_t>(job.positions[m]) * job.stride + at;
        squares = hn::MulAdd(step, step, squares);
        products = hn::MulAdd(step, hn::LoadU(f, job.differences + place), products);
      }
      hn::StoreU(hn::Mul(damping, squares), f,
                 left + (group * padded + group) * kChunk + v * kLanes);
      hn::StoreU(hn::Mul(damping, products), f, right + group * kChunk + v * kLanes);
    }
  }
}

/// kAcross columns of V·R of one group, its first `count` members having a say.
HWY_INLINE void Product(const float *factor, const uint8_t *codes, const float *zeros, size_t count,
                        float *result) {
  const TagF f;
  VecF sums[kAcross][kChunkVectors], zero[kChunkVectors];
  for (size_t v = 0; v < kChunkVectors; ++v) zero[v] = hn::LoadU(f, zeros + v * kLanes);
  for (size_t c = 0; c < kAcross; ++c) {
    for (size_t v = 0; v < kChunkVectors; ++v) sums[c][v] = hn::Zero(f);
  }
  for (size_t m = 0; m < count; ++m) {
    VecF step[kChunkVectors];
    for (size_t v = 0; v < kChunkVectors; ++v) {
      const auto code = hn::LoadU(TagB(), codes + m * kChunk + v * kLanes);
      step[v] = hn::Sub(hn::ConvertTo(f, hn::PromoteTo(TagI(), code)), zero[v]);
    }
    for (size_t c = 0; c < kAcross; ++c) {
      const VecF coefficient = hn::Set(f, factor[m * kPanel + c]);
      for (size_t v = 0; v < kChunkVectors; ++v) {
        sums[c][v] = hn::MulAdd(coefficient, step[v], sums[c][v]);
      }
    }
  }
  for (size_t c = 0; c < kAcross; ++c) {
    for (size_t v = 0; v < kChunkVectors; ++v) {
      hn::StoreU(sums[c][v], f, result + c * kChunk + v * kLanes);
    }
  }
}

/// left += Y·Yᵀ of one block of groups by another, lane by lane, of the chunk's v-th vector.
HWY_INLINE void Outer(const float *first, const float *second, size_t padded, size_t v, float *left) {
  const TagF f;
  constexpr size_t kLine = kDepth * kChunk;
  VecF sums[kSide][kSide];
  for (size_t i = 0; i < kSide; ++i) {
    for (size_t j = 0; j < kSide; ++j) {
      sums[i][j] = hn::LoadU(f, left + (i * padded + j) * kChunk + v * kLanes);
    }
  }
  for (size_t c = 0; c < kDepth; ++c) {
    VecF a[kSide];
    for (size_t i = 0; i < kSide; ++i) {
      a[i] = hn::LoadU(f, first + i * kLine + c * kChunk + v * kLanes);
    }
    for (size_t j = 0; j < kSide; ++j) {
      const VecF b = hn::LoadU(f, second + j * kLine + c * kChunk + v * kLanes);
      for (size_t i = 0; i < kSide; ++i) sums[i][j] = hn::MulAdd(a[i], b, sums[i][j]);
    }
  }
  for (size_t i = 0; i < kSide; ++i) {
    for (size_t j = 0; j < kSide; ++j) {
      hn::StoreU(sums[i][j], f, left + (i * padded + j) * kChunk + v * kLanes);
    }
  }
}

}  // namespace

void RefitTerms(
    const PithRefit *work, size_t row, size_t chunks, float *scratch, float *left, float *right) {
  const TagF f;
  const PithRefit &job = *work;
  const size_t groups = job.groups, padded = pith_refit_padded(groups);
  const size_t width = groups * job.members;
  const size_t own_steps = pith_refit_steps(groups, job.members, job.fixed != nullptr), pairs_each = (job.members + 1) / 2;
  const size_t each = padded * kDepth * kChunk;
  const size_t square = padded * padded * kChunk;
  float *products = scratch;
  float *steps = scratch + chunks * each;
  memset(left, 0, chunks * square * sizeof(float));
  memset(products, 0, chunks * each * sizeof(float));
  for (size_t chunk = 0; chunk < chunks; ++chunk) {
    float *own = steps + chunk * own_steps, *corner = left + chunk * square;
    float *side = right + chunk * groups * kChunk;
    if (job.fixed) {
      Gather<true>(job, row + chunk * kChunk, own, corner, side);
    } else {
      Gather<false>(job, row + chunk * kChunk, own, corner, side);
    }
  }
  const float *factor = job.factor;
  const uint32_t *fixed = job.fixed;
  const float *fixed_scales = job.fixed_scales;
  const int32_t *counts = job.counts;
  for (size_t start = 0; start < width; start += kDepth) {
    for (size_t part = 0; part < kDepth; part += kPanel) {
      const bool inside = start + part < width;
      for (size_t group = 0; group < groups; ++group) {
        const size_t count = inside ? static_cast<size_t>(*counts++) : 0;
        for (size_t chunk = 0; chunk < chunks; ++chunk) {
          const float *own = steps + chunk * own_steps;
          float *to = products + chunk * each + (group * kDepth + part) * kChunk;
          if (fixed) {
            if (inside) {
              pith_refit_product_fixed(
                  fixed, fixed_scales,
                  reinterpret_cast<const uint32_t *>(own) + group * pairs_each * kChunk,
                  (count + 1) / 2, to);
            } else {
              memset(to, 0, kPanel * kChunk * sizeof(float));
            }
            continue;
          }
          const uint8_t *codes = reinterpret_cast<const uint8_t *>(own) + group * job.members * kChunk;
          for (size_t c = 0; c < kPanel; c += kAcross) {
            Product(factor + c, codes, job.zeros + group * job.stride + row + chunk * kChunk, count,
                    to + c * kChunk);
          }
        }
        if (fixed) {
          fixed += inside ? (count + 1) / 2 * kPanel : 0;
          fixed_scales += inside ? kPanel : 0;
        } else {
          factor += count * kPanel;
        }
      }
    }
    for (size_t chunk = 0; chunk < chunks; ++chunk) {
      // The sweep's own residuals beside them give the right side.
      float *own = products + chunk * each;
      const size_t at = row + chunk * kChunk;
      for (size_t c = 0; c < kDepth; ++c) {
        for (size_t v = 0; v < kChunkVectors; ++v) {
          const float *from = job.residuals + (start + c) * job.stride + at + v * kLanes;
          const VecF e = start + c < width ? hn::LoadU(f, from) : hn::Zero(f);
          hn::StoreU(e, f, own + (groups * kDepth + c) * kChunk + v * kLanes);
        }
      }
      // One vector of the chunk after the other: its products stay in the first-level cache.
      for (size_t v = 0; v < kChunkVectors; ++v) {
        for (size_t i = 0; i < padded; i += kSide) {
          for (size_t j = i; j < padded; j += kSide) {
            Outer(own + i * kDepth * kChunk, own + j * kDepth * kChunk, padded, v,
                  left + chunk * square + (i * padded + j) * kChunk);
          }
        }
      }
    }
  }
  for (size_t chunk = 0; chunk < chunks; ++chunk) {
    for (size_t group = 0; group < groups; ++group) {
      const float *sum = left + chunk * square + (group * padded + groups) * kChunk;
      float *to = right + (chunk * groups + group) * kChunk;
      for (size_t lane = 0; lane < kChunk; ++lane) to[lane] += sum[lane];
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace pith
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pith {
extern "C" {

void pith_refit_pack(const float *factor, size_t width, const int32_t *positions, size_t members,
                     size_t first, size_t count, const int32_t *counts, float *packed) {
  const size_t groups = width / members;
  for (size_t panel = first; panel < first + count; ++panel) {
    const size_t column = panel * PITH_REFIT_PANEL;
    const size_t inside = width - column < PITH_REFIT_PANEL ? width - column : PITH_REFIT_PANEL;
    for (size_t group = 0; group < groups; ++group) {
      const int32_t *own = positions + group * members;
      const size_t above = static_cast<size_t>(*counts++);
      for (size_t m = 0; m < above; ++m) {
        const float *from = factor + static_cast<size_t>(own[m]) * width + column;
        if (inside == PITH_REFIT_PANEL) {
          memcpy(packed, from, PITH_REFIT_PANEL * sizeof(float));
        } else {
          memset(packed, 0, PITH_REFIT_PANEL * sizeof(float));
          memcpy(packed, from, inside * sizeof(float));
        }
        packed += PITH_REFIT_PANEL;
      }
    }
  }
}

void pith_refit_terms(const PithRefit *job, size_t row, size_t chunks, float *scratch, float *left,
                      float *right) {
  PITH_DISPATCH(RefitTerms)(job, row, chunks, scratch, left, right);
}
}
}  // namespace pith
#endif
