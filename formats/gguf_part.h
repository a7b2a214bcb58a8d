// SPDX-License-Identifier: Apache-2.0
// One file of a GGUF, which may be one of the parts that llama.cpp's gguf-split makes. Used by
// gguf_split.cc, which puts them together.
#pragma once

#include "formats/gguf.h"

namespace retort {

// As ReadGguf, without regard to split.count.
GgufFile ReadGgufPart(const Path& file);

}  // namespace retort
