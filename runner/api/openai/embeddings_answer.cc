// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/base64.h"
#include "runner/api/error.h"
#include "runner/api/openai/answer.h"
#include "runner/api/openai/embeddings.h"

namespace retort {
namespace {

std::string Base64Of(const std::vector<float>& values) {
  return Base64({reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)});
}

std::vector<float> FirstOf(std::vector<float> values, int64_t dimensions) {
  if (dimensions == 0) return values;
  values.resize(static_cast<size_t>(dimensions));
  double squares = 0;
  for (const float value : values) squares += static_cast<double>(value) * value;
  for (float& value : values)
    value = squares > 0 ? static_cast<float>(value / std::sqrt(squares)) : 0;
  return values;
}

// There are no streams of embeddings.
class VectorWriter : public AnswerWriter {
 public:
  VectorWriter(ApiAnswerHead head, const EmbeddingsRequest& request)
      : head_(std::move(head)), base64_(request.base64), dimensions_(request.dimensions) {}

  std::string Whole(const ApiAnswer& answer) override {
    Json data = Json::array();
    for (const ApiChoice& choice : answer.choices) {
      const std::vector<float> values = FirstOf(choice.embedding, dimensions_);
      data.push_back({{"object", "embedding"},
                      {"index", choice.index},
                      {"embedding", base64_ ? Json(Base64Of(values)) : Json(values)}});
    }
    const ApiUsage usage = answer.Usage();
    return DumpJson(
        {{"object", "list"},
         {"data", std::move(data)},
         {"model", head_.model},
         {"usage",
          {{"prompt_tokens", usage.prompt_tokens}, {"total_tokens", usage.prompt_tokens}}}});
  }
  std::string ErrorBody(const ApiError& error) const override { return ApiErrorBody(error); }
  std::string Begin(const ApiAnswer& /*answer*/) override { return ""; }
  std::string Said(const ApiChoice& /*choice*/, const AnswerPart& /*part*/,
                   std::span<const TokenLogprobs> /*tokens*/) override {
    return "";
  }
  std::string EndOfChoice(const ApiChoice& /*choice*/,
                          std::span<const TokenLogprobs> /*tokens*/) override {
    return "";
  }
  std::string End(const ApiAnswer& /*answer*/) override { return ""; }
  std::string Failed(const ApiError& error) const override { return ApiErrorBody(error); }

 private:
  const ApiAnswerHead head_;
  const bool base64_;
  const int64_t dimensions_;
};

}  // namespace

std::unique_ptr<AnswerWriter> EmbeddingsWriter(const ApiAnswerHead& head,
                                               const EmbeddingsRequest& request) {
  return std::make_unique<VectorWriter>(head, request);
}

}  // namespace retort
