// SPDX-License-Identifier: Apache-2.0
#include "runner/server/token_endpoints.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/strings.h"
#include "base/text.h"
#include "runner/api/anthropic/anthropic.h"
#include "runner/api/fields.h"
#include "runner/api/openai/request.h"
#include "runner/api/request.h"

namespace retort {
namespace {

bool FlagOr(const Json& object, const std::string& name, bool fallback) {
  return MemberOf(object, name).is_null() ? fallback : FlagField(object, name);
}

void CheckMembers(const Json& object, std::initializer_list<const char*> known) {
  for (const auto& [key, value] : object.items()) {
    if (value.is_null() || std::ranges::find(known, key) != known.end()) continue;
    throw ApiError(400, Cat("'", Shortened(key), "' is not supported"), Shortened(key),
                   "unknown_parameter");
  }
}

std::shared_ptr<const ServedVariant> VariantOf(const ModelService& service, const Json& object) {
  const Json& model = MemberOf(object, "model");
  if (model.is_null()) return service.Find(std::nullopt);
  if (!model.is_string()) throw BadValue("model", "must be a text");
  return service.Find(model.get<std::string>());
}

// A chat request for its prompt alone.
ApiRequest ReadConversation(const Json& object) {
  Json chat = Json::object();
  for (const char* name : {"messages", "tools", "tool_choice", "chat_template_kwargs",
                           "add_generation_prompt", "continue_final_message", "model"}) {
    const Json& value = MemberOf(object, name);
    if (!value.is_null()) chat[name] = value;
  }
  return ReadApiObject(ApiKind::kChat, chat, 0);
}

std::vector<int32_t> TextIds(const ModelService& service, const std::string& text, bool add_special,
                             bool parse_special) {
  const Tokenizer& tokenizer = service.model().tokenizer;
  const size_t limit = PromptReader::CountLimit(service.context());
  const auto ids = !add_special    ? tokenizer.EncodeAtMost({{text, parse_special}}, false, limit)
                   : parse_special ? tokenizer.EncodeMarkupAtMost(text, limit)
                                   : tokenizer.EncodePromptAtMost(text, limit);
  if (!ids) {
    throw ApiError(400, Cat("the text has more than ", limit, " tokens"), "",
                   "context_length_exceeded");
  }
  return *ids;
}

Json Pieces(const Tokenizer& tokenizer, const std::vector<int32_t>& ids) {
  Json out = Json::array();
  for (const int32_t id : ids) out.push_back({{"id", id}, {"piece", tokenizer.Bytes(id, true)}});
  return out;
}

// llama.cpp's form.
Json TokenizeContent(const ModelService& service, const Json& object) {
  CheckMembers(object, {"content", "add_special", "parse_special", "with_pieces", "model"});
  const auto ids = TextIds(service, TextField(object, "content"), FlagField(object, "add_special"),
                           FlagOr(object, "parse_special", true));
  const bool pieces = FlagField(object, "with_pieces");
  return {{"tokens", pieces ? Pieces(service.model().tokenizer, ids) : Json(ids)}};
}

}  // namespace

Json Tokenize(const ModelService& service, const std::string& body) {
  const Json object = ReadApiBody(body);
  const auto variant = VariantOf(service, object);
  if (object.contains("content")) return TokenizeContent(service, object);
  std::vector<int32_t> ids;
  if (object.contains("messages")) {
    CheckMembers(object,
                 {"messages", "tools", "chat_template_kwargs", "add_generation_prompt",
                  "continue_final_message", "add_special_tokens", "return_token_strs", "model"});
    if (FlagField(object, "add_special_tokens"))
      throw BadValue("add_special_tokens", "goes with 'prompt' only: a template has its own");
    ApiRequest request = ReadConversation(object);
    ids = variant->PromptsOf(request).front();
  } else {
    CheckMembers(object, {"prompt", "add_special_tokens", "return_token_strs", "model"});
    ids = TextIds(service, TextField(object, "prompt"), FlagOr(object, "add_special_tokens", true),
                  true);
  }
  Json out = {{"count", ids.size()}, {"max_model_len", service.context()}, {"tokens", ids}};
  if (FlagField(object, "return_token_strs")) {
    out["token_strs"] = Json::array();
    for (const int32_t id : ids)
      out["token_strs"].push_back(service.model().tokenizer.PieceText(id));
  }
  return out;
}

Json Detokenize(const ModelService& service, const std::string& body) {
  const Json object = ReadApiBody(body);
  CheckMembers(object, {"tokens", "model"});
  VariantOf(service, object);
  const Json& tokens = MemberOf(object, "tokens");
  if (!tokens.is_array()) throw BadValue("tokens", "must be a list of token ids");
  const Tokenizer& tokenizer = service.model().tokenizer;
  std::vector<int32_t> ids;
  ids.reserve(tokens.size());
  for (const Json& token : tokens) {
    const auto id = IntegerIn(token);
    if (!id || *id < 0 || *id >= tokenizer.vocab_size())
      throw BadValue("tokens", Cat("must hold ids from 0 to ", tokenizer.vocab_size() - 1));
    ids.push_back(static_cast<int32_t>(*id));
  }
  const std::string text = tokenizer.Decode(ids, true);
  return {{"content", text}, {"prompt", text}};  // llama.cpp's name and vLLM's
}

Json ApplyTemplate(const ModelService& service, const std::string& body) {
  const Json object = ReadApiBody(body);
  CheckMembers(object, {"messages", "tools", "tool_choice", "chat_template_kwargs",
                        "add_generation_prompt", "continue_final_message", "model"});
  const ApiRequest request = ReadConversation(object);
  return {{"prompt", service.Find(request.model)->Render(request)}};
}

Json CountTokens(const ModelService& service, const std::string& body) {
  ApiRequest request = ReadAnthropicRequest(body, 0, true);
  return {{"input_tokens", service.Find(request.model)->CountOf(request)}};
}

Json CountChatTokens(const ModelService& service, const std::string& body) {
  ApiRequest request = ReadApiRequest(ApiKind::kChat, body, 0);
  return {{"object", "chat.completion.input_tokens"},
          {"input_tokens", service.Find(request.model)->CountOf(request)}};
}

}  // namespace retort
