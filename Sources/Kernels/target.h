// Which instruction sets are compiled, and how a call finds its own.
//
// Highway's own dispatch (HWY_DYNAMIC_DISPATCH) needs libhwy, which Debian ships as a shared
// library only; a static build could not have it. So the headers compile each kernel once per
// instruction set, and the choice is ours, by the compiler's processor check (which also asks
// whether the operating system saves the wide registers).
#pragma once

// Asserts of Highway's debug builds would need libhwy's Abort.
#define HWY_IS_DEBUG_BUILD 0
// SSE4 is near enough to SSSE3; AVX3_DL's extra instructions are not used here.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_AVX3_DL | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)

namespace pith {
/// 0: what the compiler may assume anyway (emulated vectors, or NEON); 1 SSE4, 2 AVX2, 3 AVX3.
int ChosenTarget();
constexpr int kTargets = 4;
}  // namespace pith

/// The function of the chosen instruction set. A target that was not compiled (because the
/// compiler's baseline is already above it) has a null entry and is never chosen.
#define PITH_DISPATCH(name)                                                                    \
  ([]() {                                                                                      \
    using Function = decltype(&HWY_STATIC_DISPATCH(name));                                     \
    static constexpr Function table[pith::kTargets] = {                                        \
        &HWY_STATIC_DISPATCH(name), HWY_CHOOSE_SSE4(name), HWY_CHOOSE_AVX2(name),              \
        HWY_CHOOSE_AVX3(name)};                                                                \
    return table[pith::ChosenTarget()];                                                        \
  }())
