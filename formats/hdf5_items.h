// SPDX-License-Identifier: Apache-2.0
// The parent's side of formats/hdf5_rows.h: reads what the child sends and believes none of it.
#pragma once

#include <functional>
#include <string>

#include "formats/hdf5_child.h"

namespace retort::hdf5 {

// Puts the next `bytes` bytes that the child sent at `to`, or throws.
using ReadBytes = std::function<void(void* to, size_t bytes)>;

// Gives `take` the items of the records up to kEnd, as ReadHdf5InChild promises them. Throws
// Error{kInput}, beginning with `place`, on kFault and on what no child of ours sends.
void ReadItems(const ReadBytes& read, const std::string& place, Hdf5Wanted wanted,
               int64_t most_bytes, const std::function<void(Hdf5Item&&)>& take);

}  // namespace retort::hdf5
