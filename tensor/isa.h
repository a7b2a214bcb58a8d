// SPDX-License-Identifier: Apache-2.0
// The instruction sets that our kernels are compiled for, and which of them this process uses.
#pragma once

#include <cstdint>
#include <string_view>

namespace retort {

// Each includes the ones before it. kPortable is what the compiler makes for any processor of the
// architecture.
enum class Isa : uint8_t { kPortable, kAvx2, kAvx512 };

// The best that this processor has.
Isa ProcessorIsa();

// What a name ("portable", "avx2", "avx512") or, when empty, the processor asks for. Throws
// Error{kInput} that lists what there is for a name that is unknown or more than `best`.
Isa ParseIsa(std::string_view name, Isa best);

// What every kernel of this process takes: ProcessorIsa(), or less where the environment variable
// RETORT_ISA says so. It is for tests, which run the whole program on each set; results differ by
// the set in their last bits. Read once. Throws as ParseIsa does.
Isa HostIsa();

}  // namespace retort
