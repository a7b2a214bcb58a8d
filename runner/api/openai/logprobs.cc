// SPDX-License-Identifier: Apache-2.0
#include "runner/api/openai/logprobs.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/hex.h"
#include "base/strings.h"
#include "tokenizer/utf8.h"

namespace retort {
namespace {

constexpr double kLeast = -9999;  // what OpenAI's API says of a token that is all but impossible

std::string BytesOf(int32_t id, const Tokenizer& tokenizer, bool special = true) {
  return id < tokenizer.vocab_size() ? tokenizer.Bytes(id, special) : "";
}

// The keys of an object must differ, so bytes that are no UTF-8 are spelt as OpenAI's API does.
std::string Spelt(int32_t id, const Tokenizer& tokenizer) {
  std::string text = BytesOf(id, tokenizer);
  if (ValidUtf8End(text, 0) == text.size()) return text;
  std::string out = "bytes:";
  for (size_t i = 0; i < text.size(); ++i) out += "\\x" + HexText(text.substr(i, 1));
  return out;
}

Json Number(double logprob) {
  return std::isnan(logprob) ? Json() : Json(std::max(kLeast, logprob));
}

Json ChatToken(int32_t id, double logprob, const Tokenizer& tokenizer) {
  const std::string text = BytesOf(id, tokenizer);
  Json bytes = Json::array();
  for (const char c : text) bytes.push_back(static_cast<unsigned char>(c));
  return {{"token", text}, {"logprob", Number(logprob)}, {"bytes", std::move(bytes)}};
}

}  // namespace

Json ChatLogprobs(std::span<const TokenLogprobs> tokens, const Tokenizer& tokenizer) {
  Json content = Json::array();
  for (const TokenLogprobs& token : tokens) {
    Json one = ChatToken(token.id, token.logprob, tokenizer);
    one["top_logprobs"] = Json::array();
    for (const auto& [id, logprob] : token.top)
      one["top_logprobs"].push_back(ChatToken(id, logprob, tokenizer));
    content.push_back(std::move(one));
  }
  return {{"content", std::move(content)}, {"refusal", nullptr}};
}

Json CompletionLogprobs(std::span<const TokenLogprobs> tokens, int64_t top,
                        const Tokenizer& tokenizer, int64_t& offset) {
  Json texts = Json::array(), logprobs = Json::array(), tops = Json::array(),
       offsets = Json::array();
  bool begins = false;  // a text, before which its tokens may have a space more
  for (const TokenLogprobs& token : tokens) {
    begins |= std::isnan(token.logprob);
    texts.push_back(Spelt(token.id, tokenizer));
    logprobs.push_back(Number(token.logprob));
    offsets.push_back(offset);
    std::string shown = BytesOf(token.id, tokenizer, false);
    if (begins && !shown.empty()) {
      begins = false;
      if (tokenizer.spec().add_space_prefix && shown.front() == ' ') shown.erase(0, 1);
    }
    offset += std::ranges::count_if(shown, [](char c) { return (c & 0xc0) != 0x80; });
    Json likeliest = Json::object();
    for (const auto& [id, logprob] : token.top) {
      const std::string text = Spelt(id, tokenizer);
      if (!likeliest.contains(text)) likeliest[text] = Number(logprob);
    }
    tops.push_back(std::isnan(token.logprob) ? Json() : std::move(likeliest));
  }
  Json out = {{"tokens", std::move(texts)},
              {"token_logprobs", std::move(logprobs)},
              {"text_offset", std::move(offsets)}};
  if (top > 0) out["top_logprobs"] = std::move(tops);
  return out;
}

}  // namespace retort
