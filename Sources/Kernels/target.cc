#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "target.cc"
#include "target.h"
#include "include/PithKernels.h"

#include <atomic>

#include <hwy/detect_targets.h>

namespace pith {
namespace {

constexpr bool Compiled(int target) {
#if defined(__x86_64__) || defined(__i386__)
  return target == 0 || (target == 1 && (HWY_TARGETS & HWY_SSE4) != 0) ||
         (target == 2 && (HWY_TARGETS & HWY_AVX2) != 0) ||
         (target == 3 && (HWY_TARGETS & HWY_AVX3) != 0);
#else
  return target == 0;
#endif
}

// The features that Highway 1.0.3 compiles each target with (ops/set_macros-inl.h).
bool Supported(int target) {
  if (!Compiled(target)) return false;
  if (target == 0) return true;
#if defined(__x86_64__) || defined(__i386__)
  __builtin_cpu_init();
  const bool sse4 = __builtin_cpu_supports("ssse3") && __builtin_cpu_supports("sse4.1") &&
                    __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul") &&
                    __builtin_cpu_supports("aes");
  if (target == 1) return sse4;
  const bool avx2 = sse4 && __builtin_cpu_supports("avx") && __builtin_cpu_supports("avx2") &&
                    __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
                    __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  if (target == 2) return avx2;
  return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512cd");
#else
  return false;
#endif
}

int BestTarget() {
  for (int target = kTargets - 1; target > 0; --target) {
    if (Supported(target)) return target;
  }
  return 0;
}

const char *Name(int target) {
  switch (target) {
    case 1: return "SSE4";
    case 2: return "AVX2";
    case 3: return "AVX3";
    default: break;
  }
#if HWY_STATIC_TARGET == HWY_NEON
  return "NEON";
#elif HWY_STATIC_TARGET == HWY_EMU128
  return "EMU128";
#else
  return "BASELINE";
#endif
}

thread_local int thread_target = -1;

}  // namespace

int ChosenTarget() {
  if (thread_target >= 0) return thread_target;
  // Every thread finds the same answer, so a race to store it is harmless; a function-local
  // static would ask for the C++ runtime's guards.
  static std::atomic<int> best{-1};
  int target = best.load(std::memory_order_relaxed);
  if (target < 0) {
    target = BestTarget();
    best.store(target, std::memory_order_relaxed);
  }
  return target;
}

}  // namespace pith

extern "C" {

const char *pith_kernel_target(void) { return pith::Name(pith::ChosenTarget()); }

int pith_kernel_target_count(void) { return pith::kTargets; }

const char *pith_kernel_target_name(int index) { return pith::Name(index); }

int pith_kernel_target_for_this_thread(int index) {
  if (index >= pith::kTargets || (index >= 0 && !pith::Supported(index))) return -1;
  pith::thread_target = index < 0 ? -1 : index;
  return 0;
}
}
