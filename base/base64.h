// SPDX-License-Identifier: Apache-2.0
// Bytes as text of base64.
#pragma once

#include <string>
#include <string_view>

namespace retort {

std::string Base64(std::string_view bytes);

}  // namespace retort
