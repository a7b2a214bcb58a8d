// SPDX-License-Identifier: Apache-2.0
#include "tensor/isa.h"

#include <array>
#include <cstdlib>
#include <string>

#include "base/error.h"

namespace retort {
namespace {

constexpr std::array<std::string_view, 3> kNames = {"portable", "avx2", "avx512"};

}  // namespace

Isa ProcessorIsa() {
#ifdef __x86_64__
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
    return Isa::kAvx512;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return Isa::kAvx2;
#endif
  return Isa::kPortable;
}

Isa ParseIsa(std::string_view name, Isa best) {
  if (name.empty()) return best;
  std::string available;
  for (size_t i = 0; i <= static_cast<size_t>(best); ++i) {
    if (name == kNames[i]) return static_cast<Isa>(i);
    available += (i == 0 ? "" : ", ") + std::string(kNames[i]);
  }
  throw InputError("RETORT_ISA: no instruction set \"", name,
                   "\" on this processor; available: ", available);
}

Isa HostIsa() {
  static const Isa isa = [] {
    const char* name = std::getenv("RETORT_ISA");
    return ParseIsa(name ? name : "", ProcessorIsa());
  }();
  return isa;
}

}  // namespace retort
