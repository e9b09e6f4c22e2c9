// What dropping columns of one group of an N:M pattern costs together, shared by the kernel and its
// plain twin.
#pragma once

#include <stddef.h>

#include "include/PithSparse.h"

#pragma clang fp contract(off)

namespace pith {

/// Sums of a column's update that are kept apart: with the column's group (itself, or the group of a
/// pattern) ending before `to`, column j from `to` on goes to sum (j - to) mod 4, what is left over to
/// the first; columns of the group follow one by one when the four are added up.
constexpr size_t kPruneWays = 4;

/// The longest group whose patterns are compared as wholes: 70 of them for 4:8.
constexpr size_t kJointGroup = 8;

/// How much of a dropped column's error the columns behind it in its group inherit.
///
/// In the sweep's order the group is 0..<of, column p at `to` - 1 - p of the run. With R the group's
/// block of the factor, R[p][q] = L[to-1-p][to-1-q], and U = R⁻¹, a column that is dropped with the
/// error e_p = w_p / U_pp changes the errors behind it by -e_p · U_pq / U_qq, whatever is kept
/// between.
struct PatternShares {
  float share[kJointGroup][kJointGroup];

  PatternShares(const PithPruneRun &run, size_t to, size_t of) {
    const auto r = [&](size_t p, size_t q) {
      return run.factor[(to - 1 - q) * run.count + (to - 1 - p)];
    };
    for (size_t q = 0; q < of; ++q) {
      float column[kJointGroup];
      column[q] = 1.0f / r(q, q);
      for (size_t p = q; p-- > 0;) {
        float sum = 0;
        for (size_t k = p + 1; k <= q; ++k) sum += r(p, k) * column[k];
        column[p] = -sum / r(p, p);
        share[p][q] = column[p] * r(q, q);
      }
    }
  }
};

}  // namespace pith
