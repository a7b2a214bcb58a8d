// SPDX-License-Identifier: Apache-2.0
// Blocks without a source, for benchmarks and tests.
#pragma once

#include <cstddef>

#include "base/random.h"
#include "tensor/dtype.h"

namespace retort {

// Fills a row of `cols` values, whole blocks, of a format that is not flattened: normal values of
// that standard deviation, encoded. A format that is only read gets blocks of random bytes whose
// values are finite and have about this root mean square.
void RandomRow(WeightFormat format, int64_t cols, double deviation, RandomStream& random,
               std::byte* out);

}  // namespace retort
