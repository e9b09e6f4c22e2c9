#include <math.h>

#include "forward_vector.h"
#include "include/PithForward.h"

using namespace pith;

namespace {

constexpr float kGeluInner = 0.7978845608028654f;  // sqrt(2 / pi)

PITH_INLINE void sigmoid(Lanes &x) {
  Lanes e = -x;
  exponential(e);
  x = 1.0f / (1.0f + e);
}

// The normal distribution function by a Chebyshev fit of erfc with fractional error below 1.2e-7
// (Numerical Recipes, 2nd edition, §6.2).
PITH_INLINE void normal_cdf(Lanes &x) {
  const Lanes z = (x < 0.0f ? -x : x) * 0.70710678118654752f;
  const Lanes t = 1.0f / (1.0f + 0.5f * z);
  Lanes p = t * 0.17087277f - 0.82215223f;
  p = p * t + 1.48851587f;
  p = p * t - 1.13520398f;
  p = p * t + 0.27886807f;
  p = p * t - 0.18628806f;
  p = p * t + 0.09678418f;
  p = p * t + 0.37409196f;
  p = p * t + 1.00002368f;
  p = p * t - 1.26551223f - z * z;
  exponential(p);
  const Lanes tail = 0.5f * t * p;
  x = x < 0.0f ? tail : 1.0f - tail;
}

PITH_INLINE void activate(int kind, Lanes &x) {
  Lanes s;
  switch (kind) {
    case PITH_SILU:
      s = x;
      sigmoid(s);
      x *= s;
      break;
    case PITH_GELU:
      s = x;
      normal_cdf(s);
      x *= s;
      break;
    case PITH_GELU_TANH:
      // (1 + tanh u) / 2 is the sigmoid of 2u, which loses no digits where tanh nears -1.
      s = 2.0f * kGeluInner * (x + 0.044715f * x * x * x);
      sigmoid(s);
      x *= s;
      break;
    case PITH_RELU:
      x = x > 0.0f ? x : Lanes{};
      break;
    default:
      s = 2.0f * x;
      sigmoid(s);
      x = 2.0f * s - 1.0f;
  }
}

double activate_reference(int kind, double x) {
  switch (kind) {
    case PITH_SILU: return x / (1 + exp(-x));
    case PITH_GELU: return 0.5 * x * erfc(-x / sqrt(2.0));
    case PITH_GELU_TANH:
      return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case PITH_RELU: return x > 0 ? x : 0;
    default: return tanh(x);
  }
}

template <int kind>
PITH_INLINE void activate_all(float *x, size_t count) {
  Lanes value;
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    load(value, x + i);
    activate(kind, value);
    store(value, x + i);
  }
  if (i < count) {
    load_tail(value, x + i, count - i, 0);
    activate(kind, value);
    store_tail(value, x + i, count - i);
  }
}

template <int kind>
PITH_INLINE void gate_all(float *gate, const float *up, size_t count) {
  Lanes value, factor;
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    load(value, gate + i);
    load(factor, up + i);
    activate(kind, value);
    value *= factor;
    store(value, gate + i);
  }
  if (i < count) {
    load_tail(value, gate + i, count - i, 0);
    load_tail(factor, up + i, count - i, 0);
    activate(kind, value);
    value *= factor;
    store_tail(value, gate + i, count - i);
  }
}

}  // namespace

extern "C" {

PITH_CLONES void pith_activate(int kind, float *x, size_t count) {
  switch (kind) {
    case PITH_SILU: return activate_all<PITH_SILU>(x, count);
    case PITH_GELU: return activate_all<PITH_GELU>(x, count);
    case PITH_GELU_TANH: return activate_all<PITH_GELU_TANH>(x, count);
    case PITH_RELU: return activate_all<PITH_RELU>(x, count);
    default: return activate_all<PITH_TANH>(x, count);
  }
}

void pith_activate_reference(int kind, float *x, size_t count) {
  for (size_t i = 0; i < count; ++i) x[i] = (float)activate_reference(kind, x[i]);
}

PITH_CLONES void pith_activate_gated(int kind, float *gate, const float *up, size_t count) {
  switch (kind) {
    case PITH_SILU: return gate_all<PITH_SILU>(gate, up, count);
    case PITH_GELU: return gate_all<PITH_GELU>(gate, up, count);
    case PITH_GELU_TANH: return gate_all<PITH_GELU_TANH>(gate, up, count);
    case PITH_RELU: return gate_all<PITH_RELU>(gate, up, count);
    default: return gate_all<PITH_TANH>(gate, up, count);
  }
}

void pith_activate_gated_reference(int kind, float *gate, const float *up, size_t count) {
  for (size_t i = 0; i < count; ++i)
    gate[i] = (float)(activate_reference(kind, gate[i]) * up[i]);
}

}  // extern "C"
