// The survivors of pruning, rows as lanes: steps of descent on them, and their way back to rows.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "survivors.cc"
#include "target.h"

#include <hwy/foreach_target.h>

#include "include/PithSparse.h"
#include "kept-inl.h"

// Products and sums stay apart, in one order: the same bits on every instruction set.
#pragma clang fp contract(off)

HWY_BEFORE_NAMESPACE();
namespace pith {
namespace HWY_NAMESPACE {

void SurvivorDirection(
    float *gradient, const uint8_t *kept, const float *inverse, size_t columns, size_t stride,
    double *squares) {
  const TagF f;
  for (size_t row = 0; row < stride; row += kLanes) {
    VecD low = hn::Zero(TagD()), high = low;
    for (size_t c = 0; c < columns; ++c) {
      float *place = gradient + c * stride + row;
      const VecF value = hn::IfThenElseZero(Kept(kept + c * stride + row), hn::LoadU(f, place));
      const VecF scaled = hn::Mul(value, hn::Set(f, inverse[c]));
      hn::StoreU(scaled, f, place);
      low = hn::MulAdd(LowerDouble(value), LowerDouble(scaled), low);
      high = hn::MulAdd(UpperDouble(value), UpperDouble(scaled), high);
    }
    hn::StoreU(low, TagD(), squares + row);
    hn::StoreU(high, TagD(), squares + row + kLanes / 2);
  }
}

void LaneSquares(const float *x, size_t columns, size_t stride, double *squares) {
  const TagF f;
  for (size_t row = 0; row < stride; row += kLanes) {
    VecD low = hn::Zero(TagD()), high = low;
    for (size_t c = 0; c < columns; ++c) {
      const VecF value = hn::LoadU(f, x + c * stride + row);
      low = hn::MulAdd(LowerDouble(value), LowerDouble(value), low);
      high = hn::MulAdd(UpperDouble(value), UpperDouble(value), high);
    }
    hn::StoreU(low, TagD(), squares + row);
    hn::StoreU(high, TagD(), squares + row + kLanes / 2);
  }
}

void LaneAxpy(const float *a, const float *x, float *y, size_t columns, size_t stride) {
  const TagF f;
  for (size_t c = 0; c < columns; ++c) {
    for (size_t row = 0; row < stride; row += kLanes) {
      const size_t at = c * stride + row;
      const VecF sum = hn::MulAdd(hn::LoadU(f, a + row), hn::LoadU(f, x + at), hn::LoadU(f, y + at));
      hn::StoreU(sum, f, y + at);
    }
  }
}

double SurvivorsFromLanes(
    const float *targets, const float *differences, const uint8_t *kept, size_t rows,
    size_t columns, size_t stride, float *values, uint8_t *bits) {
  const TagF f;
  const size_t bytes = (columns + 7) / 8;
  const VecI steps = hn::Mul(hn::Iota(TagI(), 0), hn::Set(TagI(), kBlock));
  double sum = 0;
  // Squares of sixteen: columns as lanes come in, rows as lanes go out.
  HWY_ALIGN float square[kBlock * kBlock];
  for (size_t first = 0; first < rows; first += kBlock) {
    const size_t inside = rows - first < kBlock ? rows - first : kBlock;
    VecD squares[2 * kVectors];
    for (VecD &part : squares) part = hn::Zero(TagD());
    for (size_t c = 0; c < columns; c += kBlock) {
      const size_t wide = columns - c < kBlock ? columns - c : kBlock;
      uint32_t flags[kBlock] = {0};
      for (size_t j = 0; j < wide; ++j) {
        const size_t at = (columns - 1 - c - j) * stride + first;
        for (size_t v = 0; v < kVectors; ++v) {
          const VecF difference = hn::LoadU(f, differences + at + v * kLanes);
          const VecF value = hn::Sub(hn::LoadU(f, targets + at + v * kLanes), difference);
          hn::Store(
              hn::IfThenElseZero(Kept(kept + at + v * kLanes), value), f,
              square + j * kBlock + v * kLanes);
          const VecD low = LowerDouble(difference), high = UpperDouble(difference);
          squares[2 * v] = hn::MulAdd(low, low, squares[2 * v]);
          squares[2 * v + 1] = hn::MulAdd(high, high, squares[2 * v + 1]);
        }
        for (size_t r = 0; r < kBlock; ++r) {
          flags[r] |= static_cast<uint32_t>(kept[at + r] != 0) << j;
        }
      }
      for (size_t r = 0; r < inside; ++r) {
        float *target = values + (first + r) * columns + c;
        if (wide == kBlock) {
          for (size_t v = 0; v < kVectors; ++v) {
            const float *from = square + v * kLanes * kBlock + r;
            hn::StoreU(hn::GatherIndex(f, from, steps), f, target + v * kLanes);
          }
        } else {
          for (size_t j = 0; j < wide; ++j) target[j] = square[j * kBlock + r];
        }
        uint8_t *line = bits + (first + r) * bytes + c / 8;
        line[0] = static_cast<uint8_t>(flags[r]);
        if (wide > 8) line[1] = static_cast<uint8_t>(flags[r] >> 8);
      }
    }
    HWY_ALIGN double all[kBlock];
    for (size_t v = 0; v < 2 * kVectors; ++v) {
      hn::StoreU(squares[v], TagD(), all + v * kLanes / 2);
    }
    for (size_t r = 0; r < inside; ++r) sum += all[r];
  }
  return sum;
}

}  // namespace HWY_NAMESPACE
}  // namespace pith
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pith {
extern "C" {

void pith_survivor_direction(
    float *gradient, const uint8_t *kept, const float *inverse, size_t columns, size_t stride,
    double *squares) {
  PITH_DISPATCH(SurvivorDirection)(gradient, kept, inverse, columns, stride, squares);
}
void pith_lane_squares(const float *x, size_t columns, size_t stride, double *squares) {
  PITH_DISPATCH(LaneSquares)(x, columns, stride, squares);
}
double pith_survivors_from_lanes(
    const float *targets, const float *differences, const uint8_t *kept, size_t rows,
    size_t columns, size_t stride, float *values, uint8_t *bits) {
  return PITH_DISPATCH(SurvivorsFromLanes)(
      targets, differences, kept, rows, columns, stride, values, bits);
}
void pith_lane_axpy(const float *a, const float *x, float *y, size_t columns, size_t stride) {
  PITH_DISPATCH(LaneAxpy)(a, x, y, columns, stride);
}
}
}  // namespace pith
#endif
