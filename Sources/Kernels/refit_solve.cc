// The best scales of rows under their normal equations (PithSweep.h); rows as lanes, in f64.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "refit_solve.cc"
#include "target.h"

#include <hwy/foreach_target.h>

#include <math.h>

#include "include/PithKernels.h"
#include "include/PithSweep.h"
#include "lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pith {
namespace HWY_NAMESPACE {
namespace {

using MaskD = hn::Mask<TagD>;
using TagHalf = hn::Rebind<float, TagD>;
constexpr size_t kChunk = PITH_SWEEP_LANES;
constexpr size_t kWide = HWY_LANES(double) < kBlock / 2 ? HWY_LANES(double) : kBlock / 2;
/// A trace of damping, and how often single scales are gone over.
constexpr double kDamping = 1e-6;
constexpr int kPasses = 3;

/// The equations of some rows, and what is known of their solution.
struct Systems {
  const PithRefitSystems &from;
  size_t groups, padded, lane;
  /// groups × kWide each.
  double *change, *rest, *candidate, *scales;
  /// The lower triangle of Cholesky's factor, groups × groups × kWide.
  double *factor;

  HWY_INLINE VecD Left(size_t i, size_t j) const {
    const size_t place = i <= j ? i * padded + j : j * padded + i;
    return hn::PromoteTo(TagD(), hn::LoadU(TagHalf(), from.left + place * kChunk + lane));
  }
  HWY_INLINE VecD Right(size_t i) const {
    return hn::PromoteTo(TagD(), hn::LoadU(TagHalf(), from.right + i * kChunk + lane));
  }
  HWY_INLINE double *Factor(size_t i, size_t j) const { return factor + (i * groups + j) * kWide; }

  /// rest ← b − A · change, and change · A · change − 2b · change.
  HWY_INLINE VecD Value(const double *moved) const {
    const TagD d;
    VecD value = hn::Zero(d);
    for (size_t i = 0; i < groups; ++i) {
      VecD sum = hn::Zero(d);
      for (size_t j = 0; j < groups; ++j) {
        sum = hn::MulAdd(Left(i, j), hn::LoadU(d, moved + j * kWide), sum);
      }
      const VecD right = Right(i), left = hn::Sub(right, sum);
      hn::StoreU(left, d, rest + i * kWide);
      value = hn::NegMulAdd(hn::LoadU(d, moved + i * kWide), hn::Add(right, left), value);
    }
    return value;
  }

  /// candidate ← A⁻¹b; where a pivot does not fail.
  HWY_INLINE MaskD Minimize() const {
    const TagD d;
    const VecD zero = hn::Zero(d), one = hn::Set(d, 1);
    VecD trace = zero;
    for (size_t i = 0; i < groups; ++i) trace = hn::Add(trace, Left(i, i));
    MaskD found = hn::And(hn::Gt(trace, zero), hn::IsFinite(trace));
    for (size_t i = 0; i < groups; ++i) {
      VecD side = Right(i);
      for (size_t j = 0; j <= i; ++j) {
        const VecD own = Left(i, j);
        VecD sum = own;
        for (size_t k = 0; k < j; ++k) {
          sum = hn::NegMulAdd(hn::LoadU(d, Factor(i, k)), hn::LoadU(d, Factor(j, k)), sum);
        }
        if (i == j) {
          // A group whose codes are all zero has no say: 1 leaves its scale alone.
          const VecD pivot = hn::IfThenElse(
              hn::Gt(own, zero), hn::MulAdd(hn::Set(d, kDamping), own, sum), one);
          const MaskD good = hn::Gt(pivot, zero);
          found = hn::And(found, good);
          const VecD inverse = hn::Div(one, hn::Sqrt(hn::IfThenElse(good, pivot, one)));
          hn::StoreU(inverse, d, Factor(i, i));
          hn::StoreU(hn::Mul(side, inverse), d, candidate + i * kWide);
        } else {
          const VecD value = hn::Mul(sum, hn::LoadU(d, Factor(j, j)));
          hn::StoreU(value, d, Factor(i, j));
          side = hn::NegMulAdd(value, hn::LoadU(d, candidate + j * kWide), side);
        }
      }
    }
    for (size_t i = groups; i-- > 0;) {
      VecD sum = hn::LoadU(d, candidate + i * kWide);
      for (size_t k = i + 1; k < groups; ++k) {
        sum = hn::NegMulAdd(hn::LoadU(d, Factor(k, i)), hn::LoadU(d, candidate + k * kWide), sum);
      }
      hn::StoreU(hn::Mul(sum, hn::LoadU(d, Factor(i, i))), d, candidate + i * kWide);
    }
    return found;
  }

  /// wanted ← what is stored of each, or `old` where it cannot be.
  HWY_INLINE void Round(double *wanted, const double *old) const {
    for (size_t at = 0; at < kWide; ++at) {
      const bool fits = isfinite(wanted[at]) && wanted[at] > 0 && wanted[at] < 3.40282346638528860e38;
      wanted[at] = fits ? static_cast<double>(pith_stored_scale(static_cast<float>(wanted[at]),
                                                                from.scale_type, from.bits))
                        : old[at];
    }
  }

  void Solve(float *result, double *gains) const {
    const TagD d;
    const VecD zero = hn::Zero(d);
    const auto old = [&](size_t group) {
      return hn::PromoteTo(d, hn::LoadU(TagHalf(), from.scales + group * from.stride + lane));
    };
    for (size_t i = 0; i < groups; ++i) hn::StoreU(old(i), d, scales + i * kWide);
    MaskD taken = Minimize();
    for (size_t i = 0; i < groups; ++i) {
      double *own = candidate + i * kWide;
      hn::StoreU(hn::Add(hn::LoadU(d, own), old(i)), d, own);
      Round(own, scales + i * kWide);
      hn::StoreU(hn::Sub(hn::LoadU(d, own), old(i)), d, change + i * kWide);
    }
    taken = hn::And(taken, hn::Lt(Value(change), zero));
    for (size_t i = 0; i < groups; ++i) {
      const VecD moved = hn::IfThenElseZero(taken, hn::LoadU(d, change + i * kWide));
      hn::StoreU(moved, d, change + i * kWide);
      hn::StoreU(hn::Add(old(i), moved), d, scales + i * kWide);
    }
    Value(change);
    // Rounding one scale is made good by the next: each step is taken only where it gains.
    for (int pass = 0; pass < kPasses; ++pass) {
      for (size_t i = 0; i < groups; ++i) {
        double *own = scales + i * kWide, *next = candidate + i * kWide;
        const VecD pivot = Left(i, i), rest_of = hn::LoadU(d, rest + i * kWide);
        const MaskD moves = hn::Gt(pivot, zero);
        const VecD scale = hn::LoadU(d, own);
        hn::StoreU(hn::Add(scale, hn::Div(rest_of, hn::IfThenElse(moves, pivot, hn::Set(d, 1)))), d, next);
        Round(next, own);
        const VecD step = hn::IfThenElseZero(moves, hn::Sub(hn::LoadU(d, next), scale));
        const VecD worth = hn::Mul(step, hn::NegMulAdd(hn::Set(d, 2), rest_of, hn::Mul(pivot, step)));
        const MaskD gains_some = hn::Lt(worth, zero);
        if (hn::AllFalse(d, gains_some)) continue;
        const VecD part = hn::IfThenElseZero(gains_some, step);
        hn::StoreU(hn::Add(scale, part), d, own);
        hn::StoreU(hn::Add(hn::LoadU(d, change + i * kWide), part), d, change + i * kWide);
        for (size_t j = 0; j < groups; ++j) {
          double *other = rest + j * kWide;
          hn::StoreU(hn::NegMulAdd(Left(i, j), part, hn::LoadU(d, other)), d, other);
        }
      }
    }
    const VecD gain = Value(change);
    const MaskD better = hn::Lt(gain, zero);
    hn::StoreU(hn::IfThenElseZero(better, gain), d, gains + lane);
    for (size_t i = 0; i < groups; ++i) {
      double *own = scales + i * kWide;
      hn::StoreU(hn::IfThenElse(better, hn::LoadU(d, own), old(i)), d, own);
      for (size_t at = 0; at < kWide; ++at) {
        result[(lane + at) * groups + i] = static_cast<float>(own[at]);
      }
    }
  }
};

}  // namespace

void RefitSolve(const PithRefitSystems *from, double *scratch, float *result, double *gains) {
  const size_t groups = from->groups, line = groups * kWide;
  for (size_t lane = 0; lane < kChunk; lane += kWide) {
    const Systems systems = {*from, groups, pith_refit_padded(groups), lane, scratch, scratch + line,
                             scratch + 2 * line, scratch + 3 * line, scratch + 4 * line};
    systems.Solve(result, gains);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace pith
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pith {
extern "C" {

void pith_refit_solve(const PithRefitSystems *from, double *scratch, float *result, double *gains) {
  PITH_DISPATCH(RefitSolve)(from, scratch, result, gains);
}
}
}  // namespace pith
#endif
