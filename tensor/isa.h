// SPDX-License-Identifier: Apache-2.0
// The instruction sets that the CPU kernels are compiled for, and which of them this process uses.
#pragma once

#include <cstdint>
#include <string_view>

namespace retort {

// Each includes the ones before it. kPortable is the compiler's code for the baseline of the
// architecture.
enum class Isa : uint8_t { kPortable, kAvx2, kAvx512 };

// The best one that this processor supports.
Isa ProcessorIsa();

// The instruction set of that name ("portable", "avx2", "avx512"); `best` when the name is empty.
// Throws Error{kInput} that lists the available names when it is unknown or better than `best`.
Isa ParseIsa(std::string_view name, Isa best);

// The instruction set that all kernels of this process use: ProcessorIsa(), or the lesser one that
// the environment variable RETORT_ISA names. The variable is read once; it lets tests run the whole
// program on each set. Results differ between sets in their last bits. Throws as ParseIsa does.
Isa HostIsa();

}  // namespace retort
