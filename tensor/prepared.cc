// SPDX-License-Identifier: Apache-2.0
#include "tensor/prepared.h"

namespace retort {

std::string_view NameOf(Compute compute) {
  switch (compute) {
    case Compute::kF32:
      return "f32";
    case Compute::kBF16:
      return "bf16";
    case Compute::kInt8:
      return "int8";
    case Compute::kAuto:
      return "auto";
  }
  return "";
}

Compute ComputeNamed(std::string_view name) {
  for (const Compute compute : {Compute::kAuto, Compute::kF32, Compute::kBF16, Compute::kInt8}) {
    if (name == NameOf(compute)) return compute;
  }
  throw InputError("--compute '", name, "' is not known; use auto, f32, bf16 or int8");
}

}  // namespace retort
