// Which entries of a pruned weight are kept: a byte each in memory, a mask in registers.
//
// Included once per instruction set; see target.h.
#if defined(PITH_KEPT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PITH_KEPT_INL_H_
#undef PITH_KEPT_INL_H_
#else
#define PITH_KEPT_INL_H_
#endif

#include "lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pith {
namespace HWY_NAMESPACE {

using MaskF = hn::Mask<TagF>;

/// Which of a vector's entries are kept.
HWY_INLINE MaskF Kept(const uint8_t *kept) {
  const VecI bytes = hn::PromoteTo(TagI(), hn::LoadU(TagB(), kept));
  return hn::RebindMask(TagF(), hn::Ne(bytes, hn::Zero(TagI())));
}

HWY_INLINE void StoreKept(MaskF mask, uint8_t *kept) {
  const VecI ones = hn::IfThenElseZero(hn::RebindMask(TagI(), mask), hn::Set(TagI(), 1));
  hn::StoreU(hn::DemoteTo(TagB(), ones), TagB(), kept);
}

}  // namespace HWY_NAMESPACE
}  // namespace pith
HWY_AFTER_NAMESPACE();

#endif
