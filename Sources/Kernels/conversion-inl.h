// f16 and bf16 in vectors, by integer arithmetic that is the same on every instruction set.
#if defined(PITH_CONVERSION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PITH_CONVERSION_INL_H_
#undef PITH_CONVERSION_INL_H_
#else
#define PITH_CONVERSION_INL_H_
#endif

#include "lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pith {
namespace HWY_NAMESPACE {

HWY_INLINE VecU LoadHalves(const uint8_t *source) {
  return hn::PromoteTo(TagU(), hn::LoadU(TagH(), reinterpret_cast<const uint16_t *>(source)));
}

HWY_INLINE VecF WidenF16(VecU half) {
  const TagU u;
  const TagF f;
  const VecU sign = hn::ShiftLeft<16>(hn::And(half, hn::Set(u, 0x8000u)));
  const VecU magnitude = hn::And(half, hn::Set(u, 0x7FFFu));
  // Normal numbers: the fraction moves up by 13 bits, the exponent's bias from 15 to 127.
  const VecU shifted = hn::ShiftLeft<13>(magnitude);
  const VecU normal = hn::Add(shifted, hn::Set(u, 112u << 23));
  // Subnormals and zero as integers · 2^-24: no f32 subnormal is ever an operand.
  const VecF tiny = hn::Mul(
      hn::ConvertTo(f, hn::BitCast(TagI(), magnitude)), hn::Set(f, 0x1p-24f));
  // Infinity and NaN: the exponent becomes 255; a NaN's quiet bit is set.
  const VecU top = hn::Or(shifted, hn::Set(u, 0x7F800000u));
  const VecU quiet = hn::IfThenElse(
      hn::Gt(magnitude, hn::Set(u, 0x7C00u)), hn::Or(top, hn::Set(u, 0x00400000u)), top);
  const VecU finite = hn::IfThenElse(
      hn::Lt(magnitude, hn::Set(u, 0x0400u)), hn::BitCast(u, tiny), normal);
  const VecU value =
      hn::IfThenElse(hn::Gt(magnitude, hn::Set(u, 0x7BFFu)), quiet, finite);
  return hn::BitCast(f, hn::Or(value, sign));
}

HWY_INLINE VecF WidenBF16(VecU half) { return hn::BitCast(TagF(), hn::ShiftLeft<16>(half)); }

HWY_INLINE VecU NarrowF16(VecF value) {
  const TagU u;
  const TagF f;
  const VecU bits = hn::BitCast(u, value);
  const VecU sign = hn::And(hn::ShiftRight<16>(bits), hn::Set(u, 0x8000u));
  const VecU magnitude = hn::And(bits, hn::Set(u, 0x7FFFFFFFu));
  const VecU odd = hn::And(hn::ShiftRight<13>(magnitude), hn::Set(u, 1u));
  const VecU rounded = hn::ShiftRight<13>(hn::Add(
      hn::Sub(magnitude, hn::Set(u, 0x38000000u)), hn::Add(odd, hn::Set(u, 0xFFFu))));
  // Below 2^-14 adding 0.5 puts the last f16 bit at the end of the f32 significand, so that the
  // addition itself rounds to even.
  const VecU tiny = hn::Sub(
      hn::BitCast(u, hn::Add(hn::BitCast(f, magnitude), hn::Set(f, 0.5f))),
      hn::Set(u, 0x3F000000u));
  const VecU nan = hn::Or(
      hn::Set(u, 0x7E00u), hn::And(hn::ShiftRight<13>(magnitude), hn::Set(u, 0x3FFu)));
  VecU result = hn::IfThenElse(hn::Lt(magnitude, hn::Set(u, 0x38800000u)), tiny, rounded);
  // 65520 and above round to infinity.
  result = hn::IfThenElse(
      hn::Gt(magnitude, hn::Set(u, 0x477FEFFFu)), hn::Set(u, 0x7C00u), result);
  result = hn::IfThenElse(hn::Gt(magnitude, hn::Set(u, 0x7F800000u)), nan, result);
  return hn::Or(result, sign);
}

HWY_INLINE VecU NarrowBF16(VecF value) {
  const TagU u;
  const VecU bits = hn::BitCast(u, value);
  const VecU odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(u, 1u));
  const VecU rounded =
      hn::ShiftRight<16>(hn::Add(bits, hn::Add(odd, hn::Set(u, 0x7FFFu))));
  const VecU nan = hn::Or(hn::ShiftRight<16>(bits), hn::Set(u, 0x40u));
  const VecU magnitude = hn::And(bits, hn::Set(u, 0x7FFFFFFFu));
  return hn::IfThenElse(hn::Gt(magnitude, hn::Set(u, 0x7F800000u)), nan, rounded);
}

HWY_INLINE void StoreHalves(VecU half, uint8_t *target) {
  hn::StoreU(hn::TruncateTo(TagH(), half), TagH(), reinterpret_cast<uint16_t *>(target));
}

}  // namespace HWY_NAMESPACE
}  // namespace pith
HWY_AFTER_NAMESPACE();

#endif
