// SPDX-License-Identifier: Apache-2.0
// The conversation of a chat request.
#pragma once

#include <vector>

#include "base/json.h"
#include "runner/api/error.h"
#include "template/chat_template.h"

namespace retort {

// The value of 'messages'. Throws ApiError, naming the place, for what cannot be honoured: other
// roles and members, and parts that are no text.
std::vector<Message> ReadMessages(const Json& value);

}  // namespace retort
