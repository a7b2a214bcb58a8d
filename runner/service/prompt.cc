// SPDX-License-Identifier: Apache-2.0
#include "runner/service/prompt.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"

namespace retort {
namespace {

constexpr int64_t kCounted = 4;  // contexts

std::string PromptParameter(const ApiRequest& request) {
  return request.kind == ApiKind::kChat ? "messages" : "prompt";
}

ApiError TooLong(const ApiRequest& request, const std::string& message) {
  return ApiError(400, message, PromptParameter(request), "context_length_exceeded");
}

bool IsNamed(const Message& message) {
  return message.role != "tool" && message.more.find("\"name\"") != std::string::npos;
}

bool WritesNames(const ServedModel& model) {
  Message named{"user", "text"};
  named.more = R"({"name": "somebody"})";
  try {
    model.chat->RenderText({named}, true, model.tokenizer.spec(), "messages");
    return true;
  } catch (const Error&) {
    return false;
  }
}

// Few templates write the names of those who speak, and some clients always send them: as with
// other servers of this API, they do not reach the model then.
void DropNames(std::vector<Message>& messages) {
  for (Message& message : messages) {
    if (!IsNamed(message)) continue;
    Json more = ParseJson(message.more, "messages");
    more.erase("name");
    message.more = more.empty() ? "" : DumpJson(more);
  }
}

Conversation ConversationOf(const ApiRequest& request, const ServedModel& model) {
  Conversation conversation(request.messages);
  if (std::ranges::any_of(request.messages, IsNamed) && !WritesNames(model))
    DropNames(conversation.messages);
  if (request.tools.Shown()) conversation.tools = request.tools.json;
  conversation.variables = request.variables;
  if (request.think && model.chat->Jinja().find("enable_thinking") != std::string::npos)
    conversation.variables = DumpJson({{"enable_thinking", *request.think}});
  return conversation;
}

// What `work` returns; its input errors name what of the request they are about.
template <class Work>
auto OfPrompt(const ApiRequest& request, const Work& work) {
  const auto refusal = [&request](const std::string& what) {
    const bool tools = request.tools.Shown() && what.find("'tools'") != std::string::npos;
    return ApiError(400, what, tools ? "tools" : PromptParameter(request), "invalid_value");
  };
  return WithInputErrorsAs(refusal, work);
}

}  // namespace

std::optional<PromptReader::Ids> PromptReader::EncodeChat(const ApiRequest& request,
                                                          size_t limit) const {
  auto ids = EncodeChatAtMost(model_.tokenizer, *model_.chat, ConversationOf(request, model_),
                              request.generation_prompt, limit, "messages");
  if (!ids || !request.begun) return ids;
  const auto begun = model_.tokenizer.EncodeAtMost(*request.begun, true, limit);
  if (!begun) return std::nullopt;
  ids->insert(ids->end(), begun->begin(), begun->end());
  return ids;
}

std::optional<PromptReader::Ids> PromptReader::EncodeText(const ApiPrompt& prompt,
                                                          size_t limit) const {
  if (!prompt.ids.empty()) return prompt.ids;
  return prompt.markup ? model_.tokenizer.EncodeMarkupAtMost(prompt.text, limit)
                       : model_.tokenizer.EncodePromptAtMost(prompt.text, limit);
}

void PromptReader::CheckChat() const {
  if (!model_.chat) throw ApiError(400, model_.no_chat, "messages", "no_chat_template");
}

std::string PromptReader::Render(const ApiRequest& request) const {
  CheckChat();
  const jinja::Text text = OfPrompt(request, [&] {
    return model_.chat->RenderText(ConversationOf(request, model_), request.generation_prompt,
                                   model_.tokenizer.spec(), "messages");
  });
  return text.bytes() + request.begun.value_or("");
}

int64_t PromptReader::Count(const ApiRequest& request) const {
  CheckChat();
  const auto ids = OfPrompt(request, [&] { return EncodeChat(request, CountLimit(context_)); });
  if (ids) return std::ssize(*ids);
  throw TooLong(request, Cat("the conversation has more than ", CountLimit(context_), " tokens"));
}

size_t PromptReader::CountLimit(int64_t context) { return static_cast<size_t>(kCounted * context); }

std::vector<std::vector<int32_t>> PromptReader::Read(const ApiRequest& request) const {
  const size_t limit = CountLimit(context_);
  return OfPrompt(request, [&] {
    std::vector<Ids> prompts;
    prompts.reserve(request.prompts.size() + 1);
    if (request.kind == ApiKind::kChat) {
      CheckChat();
      prompts.push_back(Fitting(request, EncodeChat(request, limit)));
    }
    for (const ApiPrompt& prompt : request.prompts)
      prompts.push_back(Fitting(request, EncodeText(prompt, limit)));
    return prompts;
  });
}

PromptReader::Ids PromptReader::Fitting(const ApiRequest& request,
                                        std::optional<Ids> encoded) const {
  if (!encoded) {
    throw TooLong(request, Cat("the prompt's more than ", kCounted * context_,
                               " tokens leave no room in the context of ", context_));
  }
  Ids ids = *std::move(encoded);
  const std::string param = PromptParameter(request);
  if (ids.empty()) throw ApiError(400, "the prompt is empty", param, "invalid_value");
  const int64_t vocab = model_.model.config.vocab;
  for (const int32_t id : ids) {
    if (id < vocab) continue;
    throw ApiError(400, Cat("the prompt's token ", id, " is not within the vocabulary of ", vocab),
                   param, "invalid_value");
  }
  if (static_cast<int64_t>(ids.size()) >= context_) {
    throw TooLong(request, Cat("the prompt's ", ids.size(),
                               " tokens leave no room in the context of ", context_));
  }
  return ids;
}

}  // namespace retort
