// SPDX-License-Identifier: Apache-2.0
#include "runner/service/chat_answer.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <random>

#include "base/json.h"
#include "base/random_text.h"
#include "base/strings.h"
#include "runner/answer/call_grammar.h"
#include "runner/answer/call_probe.h"

namespace retort {
namespace {

constexpr size_t kPromptEnd = 24;  // tokens in which the end of a prompt is looked for

std::vector<int32_t> ShownIds(const AnswerFormat& format, const Tokenizer& tokenizer) {
  std::vector<int32_t> ids;
  for (int32_t id = 0; id < tokenizer.vocab_size(); ++id) {
    if (!tokenizer.Bytes(id).empty()) continue;
    if (format.HasMark(tokenizer.Bytes(id, true))) ids.push_back(id);
  }
  return ids;
}

}  // namespace

ChatAnswers::ChatAnswers(const ChatTemplate& chat, const Tokenizer& tokenizer)
    : tokenizer_(tokenizer),
      format_(FindAnswerFormat(chat, tokenizer.spec())),
      shown_ids_(ShownIds(format_, tokenizer)),
      grammars_(tokenizer, shown_ids_) {}

void ChatAnswers::CheckTools(const ApiTools& tools) const {
  if (!tools.Shown() || !format_.calls.empty()) return;
  throw ApiError(400,
                 "this model's chat template writes 'tools', but does not say how one is called, "
                 "so that calls could not be told from text; leave the tools out",
                 "tools", "unsupported_value");
}

void ChatAnswers::PlaceEarlierThoughts(std::vector<Message>& messages) const {
  if (format_.earlier == AnswerFormat::Earlier::kWritten) return;
  for (Message& message : messages) {
    if (message.more.empty()) continue;
    Json more = ParseJson(message.more, "messages");
    if (!more.contains("reasoning_content")) continue;
    const std::string thought = more["reasoning_content"].get<std::string>();
    more.erase("reasoning_content");
    if (format_.earlier == AnswerFormat::Earlier::kInContent) {
      message.content = WithThought(format_, thought, message.content);
      more.erase("content");
    }
    message.more = more.empty() ? "" : DumpJson(more);
  }
}

bool ChatAnswers::BeginsInThought(const std::vector<int32_t>& prompt,
                                  const std::string& begun) const {
  if (format_.think_open.empty()) return false;
  // The tokens of what has begun are its own (PromptReader).
  const size_t own = begun.empty() ? 0 : tokenizer_.Encode(begun, true).size();
  const size_t end = prompt.size() - std::min(prompt.size(), own);
  std::string text;
  for (size_t i = end - std::min(end, kPromptEnd); i < end; ++i)
    text += tokenizer_.Bytes(prompt[i], true);
  const bool opened =
      EndsWith(Strip(text), format_.think_open) || Strip(begun).starts_with(format_.think_open);
  return opened && begun.find(format_.think_close) == std::string::npos;
}

std::shared_ptr<const Grammar> ChatAnswers::HeldTo(const ApiTools& tools, bool in_thought) const {
  if (!tools.Strict()) return nullptr;
  const CallGrammarOptions options{in_thought, tools.Asked(), tools.OneCall()};
  std::vector<Tool> callable;
  Json key = {in_thought, options.required, options.one_call};
  for (const Tool& tool : tools.tools) {
    if (tools.choice == ApiTools::Choice::kNamed && tool.name != tools.name) continue;
    callable.push_back(tool);
    key.push_back({tool.name, tool.schema});
  }
  const std::string where = "the arguments";
  return AsRequestError("tools", [&] {
    return grammars_.Get(
        {GrammarSource::Kind::kSchema, DumpJson(key)},
        [&](GrammarParts& parts) { return CallGrammar(format_, callable, options, where, parts); },
        where);
  });
}

ForcedTokens ChatAnswers::Forced(const ApiTools& tools, bool in_thought) const {
  ForcedTokens forced;
  const bool named = tools.choice == ApiTools::Choice::kNamed;
  if (!tools.Asked() || tools.Strict()) return forced;
  const CallFormat& format = format_.calls.front();
  if (format.before_name.empty()) {
    throw ApiError(400,
                   "'tool_choice' cannot be kept: it is not known how this model begins a call; "
                   "use \"auto\"",
                   "tool_choice", "unsupported_value");
  }
  // White space at the end would be a token that no model writes there by itself.
  const auto without_space = [](std::string text) {
    while (!text.empty() && IsAsciiSpace(text.back())) text.pop_back();
    return text;
  };
  std::vector<Segment> begin = {{without_space(format.before_name), true}};
  // The only tool is the one that is meant.
  const std::string name = named ? tools.name : tools.tools.size() == 1 ? tools.tools[0].name : "";
  if (!name.empty()) begin.push_back({name, false});
  if (!name.empty()) begin.push_back({without_space(format.before_arguments), true});
  forced.ids = tokenizer_.Encode(begin, true);
  begin.insert(begin.begin(), {format_.behind_thought, true});
  forced.after_thought = tokenizer_.Encode(begin, true);
  forced.think_open = format_.think_open;
  forced.think_close = format_.think_close;
  forced.end_of_thought = tokenizer_.Encode({{format_.think_close, true}}, true);
  forced.in_thought = in_thought;
  return forced;
}

std::unique_ptr<AnswerParser> ChatAnswers::Parser(const ApiTools& tools, bool stream,
                                                  bool in_thought) const {
  AnswerParser::Options options;
  options.in_thought = in_thought;
  options.calls = tools.Shown();
  options.whole_calls = !stream;
  options.one_call = tools.OneCall();
  return std::make_unique<AnswerParser>(format_, tools.Shown() ? tools.tools : std::vector<Tool>(),
                                        options);
}

std::string ChatAnswers::CallId(uint64_t random) const {
  std::mt19937_64 generator(random);
  return format_.short_ids ? RandomText(generator, kLettersAndDigits, 9)
                           : "call_" + RandomText(generator, kLettersAndDigits, 24);
}

}  // namespace retort
