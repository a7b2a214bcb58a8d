// SPDX-License-Identifier: Apache-2.0
// The parameters of OpenAI's API that are known here: used, ignored, or accepted at one value.
#pragma once

#include <string>

#include "base/json.h"
#include "runner/api/error.h"
#include "runner/api/request.h"

namespace retort {

// Throws ApiError if the parameter is not known, or would change the answer in a way that is not
// supported. Null is accepted: it stands for a parameter that is not there. The values of used
// parameters are checked where they are read.
void CheckParameter(ApiKind kind, const std::string& name, const Json& value);

}  // namespace retort
