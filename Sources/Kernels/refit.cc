// Normal equations of the scales, out of a sweep's own factor (PithSweep.h); rows as lanes.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "refit.cc"
#include "target.h"

#include <hwy/foreach_target.h>

#include "include/PithFixed.h"
#include "include/PithProducts.h"
#include "include/PithSweep.h"
#include "lanes-inl.h"
#include "refit_bytes.h"

HWY_BEFORE_NAMESPACE();
namespace pith {
namespace HWY_NAMESPACE {
namespace {

constexpr size_t kChunk = PITH_SWEEP_LANES;
constexpr size_t kChunkVectors = kChunk / kLanes;
/// Rows whose products with the factor lie together, on every instruction set.
constexpr size_t kPart = kBlock;
constexpr size_t kParts = kChunk / kPart;
constexpr size_t kPanel = PITH_REFIT_PANEL;
/// Products that are added up before their sums meet memory, and what a group's take of it, in f32 or as
/// pairs.
constexpr size_t kLine = PITH_REFIT_PAIRS * kPart;
/// Columns whose sums fit the registers.
constexpr size_t kAcross = kChunkVectors <= 2 ? 8 : kChunkVectors <= 4 ? 2 : 1;
/// Groups whose products with others are made together.
constexpr size_t kSide = 4;

/// Products in f32, or from bytes to f32 or to pairs of bf16.
enum class Kind { kFloats, kBytes, kPairs };

/// Columns of the factor that go through `kLine`.
constexpr size_t Depth(Kind kind) { return kind == Kind::kPairs ? 2 * PITH_REFIT_PAIRS : PITH_REFIT_PAIRS; }

/// Members that are taken together: as many as a word has codes.
constexpr size_t kFour = 4;

/// Some members of a group, where the chunks' rows of their codes and differences lie.
struct Members {
  const uint8_t *codes[kFour];
  const float *differences[kFour];

  Members(const PithRefit &job, size_t first, size_t count, size_t row) {
    for (size_t m = 0; m < count; ++m) {
      codes[m] = job.codes + static_cast<size_t>(job.columns[first + m]) * job.stride + row;
      differences[m] =
          job.differences + static_cast<size_t>(job.positions[first + m]) * job.stride + row;
    }
  }
};

/// Up to four members' codes and what damping takes off for them, for one vector of rows.
template <bool kIsBytes>
HWY_INLINE void GatherFour(const Members &from, size_t count, size_t at, VecF zero, uint32_t *steps,
                           size_t lane, float *squares, float *products) {
  const TagF f;
  const TagU u;
  VecF square = hn::LoadU(f, squares), product = hn::LoadU(f, products);
  VecU quad = hn::Zero(u);
  for (size_t m = 0; m < count; ++m) {
    const auto code = hn::LoadU(TagB(), from.codes[m] + at);
    const VecI wide = hn::PromoteTo(TagI(), code);
    const VecF step = hn::Sub(hn::ConvertTo(f, wide), zero);
    if (kIsBytes) {
      quad = hn::Or(quad, hn::ShiftLeftSame(hn::BitCast(u, wide), static_cast<int>(8 * m)));
    } else {
      hn::StoreU(code, TagB(), reinterpret_cast<uint8_t *>(steps) + m * kChunk + lane);
    }
    square = hn::MulAdd(step, step, square);
    product = hn::MulAdd(step, hn::LoadU(f, from.differences[m] + at), product);
  }
  if (kIsBytes) hn::StoreU(quad, u, steps + kChunk + lane);
  hn::StoreU(square, f, squares);
  hn::StoreU(product, f, products);
}

/// The chunks' codes in the members' order, or their zero points and codes in fours, and what damping has
/// added to the equations.
template <bool kIsBytes>
HWY_INLINE void Gather(const PithRefit &job, size_t row, size_t chunks, uint32_t *steps, float *left,
                       float *right) {
  const TagF f;
  const TagU u;
  const size_t padded = pith_refit_padded(job.groups), group_steps = pith_refit_steps(job.members);
  const size_t lanes = chunks * kChunk;
  const VecF damping = hn::Set(f, -job.damping);
  HWY_ALIGN float squares[PITH_REFIT_LANES], products[PITH_REFIT_LANES];
  for (size_t group = 0; group < job.groups; ++group) {
    const float *zeros = job.zeros + group * job.stride + row;
    const auto place = [&](size_t at) {
      return steps + (at / kChunk * job.groups + group) * group_steps;
    };
    for (size_t at = 0; at < lanes; at += kLanes) {
      hn::Store(hn::Zero(f), f, squares + at);
      hn::Store(hn::Zero(f), f, products + at);
      if (kIsBytes) {
        const VecU whole = hn::BitCast(u, hn::ConvertTo(TagI(), hn::LoadU(f, zeros + at)));
        hn::StoreU(hn::Or(whole, hn::ShiftLeft<23>(whole)), u, place(at) + at % kChunk);
      }
    }
    // All rows of a member at once: members lie far apart.
    for (size_t first = 0; first < job.members; first += kFour) {
      const size_t count = job.members - first < kFour ? job.members - first : kFour;
      const Members from(job, group * job.members + first, count, row);
      for (size_t at = 0; at < lanes; at += kLanes) {
        const VecF zero = hn::LoadU(f, zeros + at);
        uint32_t *own = place(at) + first / kFour * kChunk;
        if (count == kFour) {
          GatherFour<kIsBytes>(from, kFour, at, zero, own, at % kChunk, squares + at, products + at);
        } else {
          GatherFour<kIsBytes>(from, count, at, zero, own, at % kChunk, squares + at, products + at);
        }
      }
    }
    for (size_t at = 0; at < lanes; at += kLanes) {
      const size_t chunk = at / kChunk, lane = at % kChunk;
      hn::StoreU(hn::Mul(damping, hn::Load(f, squares + at)), f,
                 left + ((chunk * padded + group) * padded + group) * kChunk + lane);
      hn::StoreU(hn::Mul(damping, hn::Load(f, products + at)), f,
                 right + (chunk * padded + group) * kChunk + lane);
    }
  }
}

/// kAcross columns of V·R of one group, its first `count` members having a say.
HWY_INLINE void Product(const float *factor, const uint8_t *codes, const float *zeros, size_t count,
                        float *result, size_t part_step) {
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
      const size_t lane = v * kLanes;
      hn::StoreU(sums[c][v], f, result + lane / kPart * part_step + c * kPart + lane % kPart);
    }
  }
}

/// left += Y·Yᵀ of four groups by four, lane by lane, of one vector; of a square on the diagonal the upper
/// half, and right += Y·residuals.
template <bool kIsDiagonal>
HWY_INLINE void Outer(const float *first, const float *second, const float *residuals, size_t padded,
                      float *left, float *right) {
  const TagF f;
  VecF sums[kSide][kSide], sides[kSide];
  for (size_t i = 0; i < kSide; ++i) {
    for (size_t j = kIsDiagonal ? i : 0; j < kSide; ++j) {
      sums[i][j] = hn::LoadU(f, left + (i * padded + j) * kChunk);
    }
    if (kIsDiagonal) sides[i] = hn::LoadU(f, right + i * kChunk);
  }
  for (size_t c = 0; c < kLine; c += kPart) {
    VecF a[kSide];
    for (size_t i = 0; i < kSide; ++i) a[i] = hn::LoadU(f, first + i * kLine + c);
    for (size_t j = 0; j < kSide; ++j) {
      const VecF b = kIsDiagonal ? a[j] : hn::LoadU(f, second + j * kLine + c);
      for (size_t i = 0; i < (kIsDiagonal ? j + 1 : kSide); ++i) {
        sums[i][j] = hn::MulAdd(a[i], b, sums[i][j]);
      }
    }
    if (kIsDiagonal) {
      const VecF rest = hn::LoadU(f, residuals + c);
      for (size_t i = 0; i < kSide; ++i) sides[i] = hn::MulAdd(a[i], rest, sides[i]);
    }
  }
  for (size_t i = 0; i < kSide; ++i) {
    for (size_t j = kIsDiagonal ? i : 0; j < kSide; ++j) {
      hn::StoreU(sums[i][j], f, left + (i * padded + j) * kChunk);
    }
    if (kIsDiagonal) hn::StoreU(sides[i], f, right + i * kChunk);
  }
}

/// One part's four groups by four.
template <Kind kKind>
HWY_INLINE void OuterPart(const RefitKernels &kernels, const float *lines, size_t i, size_t j,
                          size_t padded, float *left, float *right) {
  const float *first = lines + i * kLine, *second = lines + j * kLine;
  const float *residuals = i == j ? lines + padded * kLine : nullptr;
  if (kKind == Kind::kPairs) {
    const auto words = [](const float *from) { return reinterpret_cast<const uint32_t *>(from); };
    kernels.outer[i == j](words(first), words(second), words(residuals), padded, left, right);
    return;
  }
  for (size_t at = 0; at < kPart; at += kLanes) {
    if (residuals) {
      Outer<true>(first + at, second + at, residuals + at, padded, left + at, right + at);
    } else {
      Outer<false>(first + at, second + at, nullptr, padded, left + at, right + at);
    }
  }
}

/// A chunk's residuals at `Depth` positions from `start` on, in the form of the products.
template <Kind kKind>
HWY_INLINE void Residuals(const PithRefit &job, size_t row, size_t start, float *lines, size_t part_step) {
  const TagF f;
  const TagU u;
  const size_t width = job.groups * job.members;
  const auto at = [&](size_t position, size_t lane) {
    return position < width ? hn::LoadU(f, job.residuals + position * job.stride + row + lane)
                            : hn::Zero(f);
  };
  for (size_t lane = 0; lane < kChunk; lane += kLanes) {
    float *to = lines + lane / kPart * part_step + lane % kPart;
    for (size_t line = 0; line < kLine / kPart; ++line, to += kPart) {
      if (kKind != Kind::kPairs) {
        hn::StoreU(at(start + line, lane), f, to);
        continue;
      }
      // To the nearest, ties to even.
      const auto rounded = [&](VecF value) {
        const VecU bits = hn::BitCast(u, value);
        const VecU odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(u, 1));
        return hn::Add(bits, hn::Add(odd, hn::Set(u, 0x7FFF)));
      };
      const VecU low = rounded(at(start + 2 * line, lane));
      const VecU high = rounded(at(start + 2 * line + 1, lane));
      hn::StoreU(hn::Or(hn::ShiftRight<16>(low), hn::And(high, hn::Set(u, 0xFFFF0000u))), u,
                 reinterpret_cast<uint32_t *>(to));
    }
  }
}

template <Kind kKind>
void Terms(const PithRefit &job, size_t row, size_t chunks, float *scratch, float *left, float *right) {
  const RefitKernels kernels = ChosenRefitKernels();
  constexpr size_t kDepth = Depth(kKind);
  constexpr size_t kPanels = kDepth / kPanel;
  const size_t groups = job.groups, padded = pith_refit_padded(groups);
  const size_t panels = (groups * job.members + kPanel - 1) / kPanel;
  const size_t group_steps = pith_refit_steps(job.members);
  const size_t square = padded * padded * kChunk, part_step = (padded + 1) * kLine;
  float *lines = scratch;
  uint32_t *steps = reinterpret_cast<uint32_t *>(scratch + kParts * part_step);
  memset(left, 0, chunks * square * sizeof(float));
  memset(right, 0, chunks * padded * kChunk * sizeof(float));
  memset(lines, 0, kParts * part_step * sizeof(float));
  Gather<kKind != Kind::kFloats>(job, row, chunks, steps, left, right);
  // Rows of the packed factor before a panel: members, or fours of them.
  const auto rows = [](int32_t count) {
    return kKind == Kind::kFloats ? static_cast<size_t>(count) : (static_cast<size_t>(count) + 3) / 4;
  };
  size_t begin = 0;
  for (size_t panel = 0; panel < panels; panel += kPanels) {
    const size_t some = panels - panel < kPanels ? panels - panel : kPanels;
    const int32_t *counts = job.counts + panel * groups;
    size_t starts[kPanels] = {};
    for (size_t p = 0; p < some; ++p) {
      starts[p] = begin;
      for (size_t group = 0; group < groups; ++group) begin += rows(counts[p * groups + group]);
    }
    for (size_t chunk = 0; chunk < chunks; ++chunk) {
      const uint32_t *own = steps + chunk * groups * group_steps;
      const size_t at = row + chunk * kChunk;
      size_t places[kPanels];
      memcpy(places, starts, sizeof places);
      for (size_t group = 0; group < groups; ++group, own += group_steps) {
        float *to = lines + group * kLine;
        for (size_t p = 0; p < kPanels; ++p, to += kLine / kPanels) {
          const int32_t count = p < some ? counts[p * groups + group] : 0;
          const size_t place = places[p] * kPanel, scale = ((panel + p) * groups + group) * kPanel;
          places[p] += rows(count);
          if (count == 0) {
            for (size_t part = 0; part < kParts; ++part) {
              memset(to + part * part_step, 0, kLine / kPanels * sizeof(float));
            }
          } else if (kKind == Kind::kFloats) {
            for (size_t c = 0; c < kPanel; c += kAcross) {
              Product(job.factor + place + c, reinterpret_cast<const uint8_t *>(own),
                      job.zeros + group * job.stride + at, static_cast<size_t>(count),
                      to + c * kPart, part_step);
            }
          } else {
            const PithRefitBytes from = {job.quads + place, job.quad_scales + scale,
                                         job.quad_sums + scale, own, rows(count)};
            if (kKind == Kind::kBytes) {
              kernels.bytes(from, to, part_step);
            } else {
              kernels.pairs(from, reinterpret_cast<uint32_t *>(to), part_step);
            }
          }
        }
      }
      // The sweep's own residuals beside them give the right side.
      Residuals<kKind>(job, at, panel * kPanel, lines + padded * kLine, part_step);
      // A group that does not reach into a panel does not reach into those behind it.
      const auto reaches = [&](size_t i) {
        for (size_t group = i; group < i + kSide && group < groups; ++group) {
          if (counts[group] > 0) return true;
        }
        return false;
      };
      // One part of the chunk after the other: its products stay in the first-level cache.
      for (size_t part = 0; part < kParts; ++part) {
        float *corner = left + chunk * square + part * kPart;
        float *side = right + chunk * padded * kChunk + part * kPart;
        for (size_t i = 0; i < padded; i += kSide) {
          if (!reaches(i)) continue;
          for (size_t j = i; j < padded; j += kSide) {
            if (!reaches(j)) continue;
            OuterPart<kKind>(kernels, lines + part * part_step, i, j, padded,
                             corner + (i * padded + j) * kChunk, side + i * kChunk);
          }
        }
      }
    }
  }
}

}  // namespace

void RefitTerms(
    const PithRefit *job, size_t row, size_t chunks, float *scratch, float *left, float *right) {
  if (!job->quads) {
    Terms<Kind::kFloats>(*job, row, chunks, scratch, left, right);
  } else if (pith_fixed_products_available() && pith_bf16_products_available()) {
    Terms<Kind::kPairs>(*job, row, chunks, scratch, left, right);
  } else {
    Terms<Kind::kBytes>(*job, row, chunks, scratch, left, right);
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
