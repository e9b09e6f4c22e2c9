// Matrices of 32-bit words and of nibbles turned about, for layouts that keep inputs first.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "transpose.cc"
#include "target.h"

#include <hwy/foreach_target.h>
#include <hwy/highway.h>
#include <string.h>

#include "include/PithKernels.h"

HWY_BEFORE_NAMESPACE();
namespace pith {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using TagB = hn::FixedTag<uint8_t, 16>;
using TagW = hn::FixedTag<uint32_t, 4>;
using TagL = hn::FixedTag<uint64_t, 2>;
using VecW = hn::Vec<TagW>;
using VecL = hn::Vec<TagL>;

/// Rows that are asked for before they are needed: a line of each comes from memory alone, and the
/// processor does not guess which is next.
constexpr size_t kAhead = 32;

HWY_INLINE VecW Load(const uint8_t *from) {
  return hn::BitCast(TagW(), hn::LoadU(TagB(), from));
}
HWY_INLINE void Store(VecL words, uint8_t *to) {
  hn::StoreU(hn::BitCast(TagB(), words), TagB(), to);
}

/// 4 × 4 words.
HWY_INLINE void TurnFour(const uint8_t *source, size_t stride, uint8_t *target, size_t to) {
  const TagW words;
  const TagL pairs;
  const VecW a = Load(source), b = Load(source + stride);
  const VecW c = Load(source + 2 * stride), d = Load(source + 3 * stride);
  const VecL ab = hn::BitCast(pairs, hn::InterleaveLower(words, a, b));
  const VecL cd = hn::BitCast(pairs, hn::InterleaveLower(words, c, d));
  const VecL upper_ab = hn::BitCast(pairs, hn::InterleaveUpper(words, a, b));
  const VecL upper_cd = hn::BitCast(pairs, hn::InterleaveUpper(words, c, d));
  Store(hn::InterleaveLower(pairs, ab, cd), target);
  Store(hn::InterleaveUpper(pairs, ab, cd), target + to);
  Store(hn::InterleaveLower(pairs, upper_ab, upper_cd), target + 2 * to);
  Store(hn::InterleaveUpper(pairs, upper_ab, upper_cd), target + 3 * to);
}

/// One word after the other, for what four do not divide.
HWY_INLINE void TurnSingly(const uint8_t *source, size_t stride, size_t rows, size_t columns,
                           uint8_t *target, size_t to) {
  for (size_t row = 0; row < rows; ++row) {
    for (size_t column = 0; column < columns; ++column) {
      memcpy(target + column * to + 4 * row, source + row * stride + 4 * column, 4);
    }
  }
}

/// Exchanges the bits of `mask` in y with those `shift` further up in x.
template <int shift>
HWY_INLINE void Exchange(VecL &x, VecL &y, VecL mask) {
  const VecL change = hn::And(hn::Xor(hn::ShiftRight<shift>(x), y), mask);
  y = hn::Xor(y, change);
  x = hn::Xor(x, hn::ShiftLeft<shift>(change));
}

/// Eight rows of 32 nibbles to eight vectors of four words: word i of vector k is column 8·i + k.
HWY_INLINE void TurnNibbles(const uint8_t *source, size_t stride, uint8_t *target, size_t to) {
  const TagL tag;
  // Nibble k of a word holds row kOrder[k].
  constexpr size_t kOrder[] = {0, 2, 4, 6, 1, 3, 5, 7};
  VecL a = hn::BitCast(tag, Load(source + kOrder[0] * stride));
  VecL b = hn::BitCast(tag, Load(source + kOrder[1] * stride));
  VecL c = hn::BitCast(tag, Load(source + kOrder[2] * stride));
  VecL d = hn::BitCast(tag, Load(source + kOrder[3] * stride));
  VecL e = hn::BitCast(tag, Load(source + kOrder[4] * stride));
  VecL f = hn::BitCast(tag, Load(source + kOrder[5] * stride));
  VecL g = hn::BitCast(tag, Load(source + kOrder[6] * stride));
  VecL h = hn::BitCast(tag, Load(source + kOrder[7] * stride));
  const VecL halves = hn::Set(tag, 0x0000FFFF0000FFFFu);
  Exchange<16>(a, e, halves);
  Exchange<16>(b, f, halves);
  Exchange<16>(c, g, halves);
  Exchange<16>(d, h, halves);
  const VecL bytes = hn::Set(tag, 0x00FF00FF00FF00FFu);
  Exchange<8>(a, c, bytes);
  Exchange<8>(b, d, bytes);
  Exchange<8>(e, g, bytes);
  Exchange<8>(f, h, bytes);
  const VecL nibbles = hn::Set(tag, 0x0F0F0F0F0F0F0F0Fu);
  Exchange<4>(a, b, nibbles);
  Exchange<4>(c, d, nibbles);
  Exchange<4>(e, f, nibbles);
  Exchange<4>(g, h, nibbles);
  Store(a, target);
  Store(b, target + to);
  Store(c, target + 2 * to);
  Store(d, target + 3 * to);
  Store(e, target + 4 * to);
  Store(f, target + 5 * to);
  Store(g, target + 6 * to);
  Store(h, target + 7 * to);
}

}  // namespace

void TransposeWords(const void *source, size_t source_stride, size_t rows, size_t columns,
                    void *target, size_t target_stride) {
  const uint8_t *from = static_cast<const uint8_t *>(source);
  uint8_t *to = static_cast<uint8_t *>(target);
  const size_t stride = 4 * source_stride, step = 4 * target_stride;
  const size_t wide = columns / 4 * 4;
  size_t row = 0;
  // A line of the target, of sixteen words, is written at once.
  for (; row + 16 <= rows; row += 16) {
    if (row + kAhead + 16 <= rows) {
      for (size_t i = 0; i < 16; ++i) {
        for (size_t column = 0; column < columns; column += 16) {
          __builtin_prefetch(from + (row + kAhead + i) * stride + 4 * column);
        }
      }
    }
    for (size_t column = 0; column < wide; column += 4) {
      for (size_t i = 0; i < 16; i += 4) {
        TurnFour(from + (row + i) * stride + 4 * column, stride,
                 to + column * step + 4 * (row + i), step);
      }
    }
    TurnSingly(from + row * stride + 4 * wide, stride, 16, columns - wide,
               to + wide * step + 4 * row, step);
  }
  TurnSingly(from + row * stride, stride, rows - row, columns, to + 4 * row, step);
}

void InterleaveNibbles(const void *source, size_t stride, size_t rows, size_t columns,
                       void *target) {
  const uint8_t *from = static_cast<const uint8_t *>(source);
  uint8_t *to = static_cast<uint8_t *>(target);
  const size_t words = rows / 8;
  // Words of 128 columns, turned about twice: nibbles to words, then words to lines.
  constexpr size_t kWords = 64, kLine = 64;
  uint8_t turned[kWords][8 * kLine];
  size_t column = 0;
  for (size_t width; (width = (columns - column) / 32 * 4) > 0; column += 8 * width) {
    if (width > kLine / 4) width = kLine / 4;
    for (size_t word = 0; word < words; word += kWords) {
      const size_t count = words - word < kWords ? words - word : kWords;
      for (size_t w = 0; w < count; ++w) {
        const uint8_t *eight = from + 8 * (word + w) * stride + column / 2;
        if (8 * (word + w) + kAhead + 8 <= rows) {
          for (size_t i = 0; i < 8; ++i) __builtin_prefetch(eight + (kAhead + i) * stride);
        }
        // Words of the same place in their vectors lie together, of all the line's vectors.
        for (size_t part = 0; part < width / 4; ++part) {
          TurnNibbles(eight + 16 * part, stride, turned[w] + 16 * part, kLine);
        }
      }
      for (size_t k = 0; k < 8; ++k) {
        // Word i is column 8·i + k.
        uint8_t *place = to + ((column + k) * words + word) * 4;
        const size_t wide = count / 4 * 4;
        for (size_t i = 0; i < width; i += 4) {
          for (size_t w = 0; w < wide; w += 4) {
            TurnFour(turned[w] + kLine * k + 4 * i, sizeof turned[0],
                     place + (8 * i * words + w) * 4, 8 * words * 4);
          }
        }
        TurnSingly(turned[0] + wide * sizeof turned[0] + kLine * k, sizeof turned[0], count - wide, width,
                   place + wide * 4, 8 * words * 4);
      }
    }
  }
  pith_interleave_nibbles_reference(
      from + column / 2, stride, rows, columns - column, to + column * words * 4);
}

}  // namespace HWY_NAMESPACE
}  // namespace pith
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pith {
extern "C" {

void pith_transpose_words(const void *source, size_t source_stride, size_t rows, size_t columns,
                          void *target, size_t target_stride) {
  PITH_DISPATCH(TransposeWords)(source, source_stride, rows, columns, target, target_stride);
}
void pith_interleave_nibbles(const void *source, size_t stride, size_t rows, size_t columns,
                             void *target) {
  PITH_DISPATCH(InterleaveNibbles)(source, stride, rows, columns, target);
}
}
}  // namespace pith
#endif
