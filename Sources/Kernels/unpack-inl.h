// Packed codes to one code a byte, in 128-bit vectors.
#if defined(PITH_UNPACK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PITH_UNPACK_INL_H_
#undef PITH_UNPACK_INL_H_
#else
#define PITH_UNPACK_INL_H_
#endif

#include <type_traits>

#include "lanes-inl.h"
#include "packing.h"

HWY_BEFORE_NAMESPACE();
namespace pith {
namespace HWY_NAMESPACE {

using Tag128 = hn::Full128<uint8_t>;
using Vec128 = hn::Vec<Tag128>;

HWY_INLINE void UnpackFour(const uint8_t *packed, size_t count, uint8_t *codes) {
  const Tag128 d;
  const Vec128 low = hn::Set(d, 0x0F);
  size_t i = 0;
  for (; i + 32 <= count; i += 32) {
    const Vec128 bytes = hn::LoadU(d, packed + i / 2);
    const Vec128 even = hn::And(bytes, low);
    const hn::Repartition<uint16_t, Tag128> wide;
    const Vec128 odd =
        hn::And(hn::BitCast(d, hn::ShiftRight<4>(hn::BitCast(wide, bytes))), low);
    hn::StoreU(hn::InterleaveLower(d, even, odd), d, codes + i);
    hn::StoreU(hn::InterleaveUpper(d, even, odd), d, codes + i + 16);
  }
  UnpackRun<4>(packed + i / 2, count - i, codes + i);
}

HWY_INLINE void UnpackTwo(const uint8_t *packed, size_t count, uint8_t *codes) {
  const Tag128 d;
  const hn::Repartition<uint16_t, Tag128> wide;
  const Vec128 crumb = hn::Set(d, 0x03);
  const auto shifted = [&](Vec128 v, auto shift) HWY_ATTR {
    const auto moved = hn::ShiftRight<decltype(shift)::value>(hn::BitCast(wide, v));
    return hn::And(hn::BitCast(d, moved), crumb);
  };
  size_t i = 0;
  for (; i + 64 <= count; i += 64) {
    const Vec128 bytes = hn::LoadU(d, packed + i / 4);
    const Vec128 c0 = hn::And(bytes, crumb);
    const Vec128 c1 = shifted(bytes, std::integral_constant<int, 2>());
    const Vec128 c2 = shifted(bytes, std::integral_constant<int, 4>());
    const Vec128 c3 = shifted(bytes, std::integral_constant<int, 6>());
    // Bytes pair up to (c0, c1) and (c2, c3); pairs of bytes then to all four.
    const auto low01 = hn::BitCast(wide, hn::InterleaveLower(d, c0, c1));
    const auto low23 = hn::BitCast(wide, hn::InterleaveLower(d, c2, c3));
    const auto high01 = hn::BitCast(wide, hn::InterleaveUpper(d, c0, c1));
    const auto high23 = hn::BitCast(wide, hn::InterleaveUpper(d, c2, c3));
    hn::StoreU(hn::BitCast(d, hn::InterleaveLower(wide, low01, low23)), d, codes + i);
    hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(wide, low01, low23)), d, codes + i + 16);
    hn::StoreU(hn::BitCast(d, hn::InterleaveLower(wide, high01, high23)), d, codes + i + 32);
    hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(wide, high01, high23)), d, codes + i + 48);
  }
  UnpackRun<2>(packed + i / 4, count - i, codes + i);
}

/// Two 64-bit words of eight codes at a time, each spread as `UnpackEight` does it.
template <int bits>
HWY_INLINE void UnpackOdd(const uint8_t *packed, size_t count, uint8_t *codes) {
  const Tag128 d;
  const hn::Repartition<uint64_t, Tag128> words;
  alignas(16) uint8_t places[16];
  for (int i = 0; i < 16; ++i) {
    places[i] = i % 8 < bits ? static_cast<uint8_t>(i / 8 * bits + i % 8) : 0x80;
  }
  const Vec128 spread = hn::Load(d, places);
  const auto half = hn::Set(words, (uint64_t{1} << 4 * bits) - 1);
  const auto quarter = hn::Set(words, Repeated(2 * bits, 32));
  const auto one = hn::Set(words, Repeated(bits, 16));
  const size_t total = (count * bits + 7) / 8;
  size_t i = 0;
  size_t at = 0;
  // A load takes 16 bytes, of which 2·bits are used.
  for (; i + 16 <= count && at + 16 <= total; i += 16, at += 2 * bits) {
    auto v = hn::BitCast(words, hn::TableLookupBytesOr0(hn::LoadU(d, packed + at), spread));
    v = hn::Or(
        hn::And(v, half), hn::ShiftLeft<32>(hn::And(hn::ShiftRight<4 * bits>(v), half)));
    v = hn::Or(
        hn::And(v, quarter), hn::ShiftLeft<16>(hn::And(hn::ShiftRight<2 * bits>(v), quarter)));
    v = hn::Or(hn::And(v, one), hn::ShiftLeft<8>(hn::And(hn::ShiftRight<bits>(v), one)));
    hn::StoreU(hn::BitCast(d, v), d, codes + i);
  }
  UnpackRun<bits>(packed + at, count - i, codes + i);
}

HWY_INLINE void UnpackPiece(const uint8_t *packed, size_t count, int bits, uint8_t *codes) {
  switch (bits) {
    case 2: return UnpackTwo(packed, count, codes);
    case 3: return UnpackOdd<3>(packed, count, codes);
    case 4: return UnpackFour(packed, count, codes);
    case 5: return UnpackOdd<5>(packed, count, codes);
    case 6: return UnpackOdd<6>(packed, count, codes);
    case 7: return UnpackOdd<7>(packed, count, codes);
    default: memcpy(codes, packed, count);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace pith
HWY_AFTER_NAMESPACE();

#endif
