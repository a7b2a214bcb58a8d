// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "base/text.h"
#include "runner/api/error.h"
#include "runner/api/fields.h"
#include "runner/api/openai/embeddings.h"
#include "runner/api/openai/request.h"
#include "runner/api/request.h"

namespace retort {

EmbeddingsRequest ReadEmbeddingsRequest(const std::string& body) {
  const Json object = ReadApiBody(body);
  EmbeddingsRequest out;
  ApiRequest& request = out.request;
  request.kind = ApiKind::kCompletion;
  request.pooling = Pooling::kMean;
  for (const auto& [key, value] : object.items()) {
    if (value.is_null() || key == "input" || key == "user") continue;
    if (key == "model" && value.is_string()) {
      request.model = value.get<std::string>();
    } else if (key == "encoding_format" && (value == "float" || value == "base64")) {
      out.base64 = value == "base64";
    } else if (key == "pooling" && (value == "mean" || value == "last")) {
      request.pooling = value == "mean" ? Pooling::kMean : Pooling::kLast;
    } else if (key == "dimensions") {
      out.dimensions = IntegerField(object, key, 0);
      if (out.dimensions < 1) throw BadValue(key, "must be at least 1");
    } else if (key == "model" || key == "encoding_format" || key == "pooling") {
      throw BadValue(key, key == "model"     ? "must be a text"
                          : key == "pooling" ? "must be mean or last"
                                             : "must be float or base64");
    } else {
      throw ApiError(400, Cat("'", Shortened(key), "' is not supported"), Shortened(key),
                     "unknown_parameter");
    }
  }
  request.prompts = ReadPrompts(MemberOf(object, "input"), "input");
  return out;
}

}  // namespace retort
