// SPDX-License-Identifier: Apache-2.0
// Rows of a prompt and its answers, given as texts or as messages.
#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>

#include "base/error.h"
#include "data/row_fields.h"
#include "data/row_keys.h"

namespace retort {
namespace {

const Json& Need(const Json& json, const char* key, const std::string& where) {
  const auto it = json.find(key);
  if (it == json.end() || it->is_null()) throw InputError(where, ": '", key, "' is missing");
  return *it;
}

std::vector<Message> ReadMessages(const Json& json, const char* key, const std::string& where) {
  return ReadMessageList(Need(json, key, where), key, where);
}

// Only the answer's turns are learnt.
void SetPrompt(std::vector<Message> prompt, std::vector<Message> answer, Row& row) {
  for (Message& m : prompt) m.learn = m.learn && m.role != "assistant";
  row.messages = std::move(prompt);
  std::ranges::move(answer, std::back_inserter(row.messages));
}

// The keys of a preference row: this project's and TRL's, or OpenAI's, whose prompt is within
// 'input'.
struct PreferenceKeys {
  const Json* prompt = nullptr;  // null: the answers begin with it
  const Json* input = nullptr;   // OpenAI's, which may hold tools; null: another row's
  const char *prompt_key = "prompt", *chosen = "chosen", *rejected = "rejected";
};

PreferenceKeys KeysOf(const Json& json, const std::string& where) {
  PreferenceKeys keys;
  if (IsOpenAiPreference(json)) {
    const Json& input = Need(json, "input", where);
    if (!input.is_object()) throw InputError(where, ": 'input' must be an object with 'messages'");
    if (const auto fault = FindRowKeyFault(input, RowFormat::kMessages, false)) {
      throw InputError(where, ": input: ", ShownKey(fault->key),
                       " is not supported: ", fault->mend);
    }
    keys = {&Need(input, "messages", Cat(where, ": input")), &input, "input.messages",
            "preferred_output", "non_preferred_output"};
  } else if (json.contains("prompt") && !json["prompt"].is_null()) {
    keys.prompt = &json["prompt"];
  }
  return keys;
}

bool Same(const Message& a, const Message& b) {
  return a.role == b.role && a.content == b.content && a.more == b.more;
}

// Whether an answer is given as a whole conversation, with the prompt at its beginning.
bool HoldsPrompt(const std::vector<Message>& answer, const std::vector<Message>& prompt) {
  return !prompt.empty() && answer.size() > prompt.size() &&
         std::ranges::equal(std::span(answer).first(prompt.size()), prompt, Same);
}

// Takes the messages that two conversations begin with, which are their prompt.
std::vector<Message> TakeShared(const PreferenceKeys& keys, const std::string& where,
                                std::vector<Message>& good, std::vector<Message>& bad) {
  const auto shared = std::ranges::mismatch(good, bad, Same).in1 - good.begin();
  if (shared == std::ssize(good) || shared == std::ssize(bad)) {
    throw InputError(where, ": '", keys.chosen, "' and '", keys.rejected,
                     "' do not differ in a message of both");
  }
  std::vector<Message> prompt(good.begin(), good.begin() + shared);
  good.erase(good.begin(), good.begin() + shared);
  bad.erase(bad.begin(), bad.begin() + shared);
  return prompt;
}

// The prompt as a list of its own, or one that stands in the answers too.
std::vector<Message> TakeGiven(const PreferenceKeys& keys, const std::string& where,
                               std::vector<Message>& good, std::vector<Message>& bad) {
  std::vector<Message> prompt = ReadMessageList(*keys.prompt, keys.prompt_key, where);
  const bool held = HoldsPrompt(good, prompt);
  if (held != HoldsPrompt(bad, prompt)) {
    throw InputError(where, ": only one of '", keys.chosen, "' and '", keys.rejected,
                     "' begins with the messages of '", keys.prompt_key,
                     "'; let both begin with them, or neither");
  }
  for (std::vector<Message>* answer : {&good, &bad}) {
    if (held) answer->erase(answer->begin(), answer->begin() + std::ssize(prompt));
  }
  return prompt;
}

// A prompt that is a text beside conversations only repeats a message of theirs.
void CheckRepeated(const std::string& text, const std::vector<Message>& prompt,
                   const std::string& where) {
  const std::string_view bare = Strip(text);
  const auto is_it = [&](const Message& m) { return Strip(m.content) == bare; };
  if (bare.empty() || std::ranges::any_of(prompt, is_it)) return;
  throw InputError(
      where,
      ": 'prompt' is a text that is no message at the beginning of both answers, which "
      "are lists of messages; give it as a list too, or take it out");
}

void FillMessages(const Json& json, const PreferenceKeys& keys, Row& row, Row& rejected) {
  std::vector<Message> good = ReadMessages(json, keys.chosen, row.where),
                       bad = ReadMessages(json, keys.rejected, row.where);
  const bool text = keys.prompt && !keys.input && keys.prompt->is_string();
  std::vector<Message> prompt = keys.prompt && !text ? TakeGiven(keys, row.where, good, bad)
                                                     : TakeShared(keys, row.where, good, bad);
  if (text) CheckRepeated(keys.prompt->get<std::string>(), prompt, row.where);
  SetPrompt(prompt, std::move(good), row);
  SetPrompt(std::move(prompt), std::move(bad), rejected);
  for (Row* one : {&row, &rejected}) {
    FillBesideMessages(json, *one);
    if (keys.input) FillBesideMessages(*keys.input, *one);
  }
}

void FillTexts(const Json& json, const PreferenceKeys& keys, Row& row, Row& rejected) {
  row.completion = GetString(json, keys.chosen, row.where);
  rejected.completion = GetString(json, keys.rejected, row.where);
  if (keys.prompt) {
    row.prompt = GetString(json, "prompt", row.where);
  } else {
    // A space between prompt and answer belongs to the answer.
    auto shared = static_cast<size_t>(
        std::ranges::mismatch(row.completion, rejected.completion).in1 - row.completion.begin());
    while (shared > 0 && shared < row.completion.size() &&
           (static_cast<unsigned char>(row.completion[shared]) & 0xc0) == 0x80)
      --shared;  // to the beginning of a character
    if (shared > 0 && row.completion[shared - 1] == ' ') --shared;
    row.prompt = row.completion.substr(0, shared);
    row.completion.erase(0, shared);
    rejected.completion.erase(0, shared);
  }
  row.kind = rejected.kind = RowFormat::kPromptCompletion;
  AddSystem(json, row);
  rejected.prompt = row.prompt;
}

bool ReadLabel(const Json& json, const std::string& where) {
  const Json& label = Need(json, "label", where);
  if (const auto wanted = LabelOf(label)) return *wanted;
  throw InputError(where, ": 'label' is ", ShortJson(label), "; it must be true or false");
}

}  // namespace

void FillMessagePair(const Json& json, Row& row) {
  std::vector<Message> prompt = ReadMessages(json, "prompt", row.where),
                       answer = ReadMessages(json, "completion", row.where);
  if (HoldsPrompt(answer, prompt))
    answer.erase(answer.begin(), answer.begin() + std::ssize(prompt));
  SetPrompt(std::move(prompt), std::move(answer), row);
  FillBesideMessages(json, row);
}

void FillPreference(const Json& json, Row& row) {
  Row rejected;
  rejected.where = row.where;
  const PreferenceKeys keys = KeysOf(json, row.where);
  if (IsConversation(json, RowFormat::kPreference))
    FillMessages(json, keys, row, rejected);
  else
    FillTexts(json, keys, row, rejected);
  row.wanted = true;
  rejected.wanted = false;
  row.rejected = std::make_shared<const Row>(std::move(rejected));
}

void FillUnpaired(const Json& json, Row& row) {
  if (IsConversation(json, RowFormat::kUnpaired)) {
    FillMessagePair(json, row);
  } else {
    row.kind = RowFormat::kPromptCompletion;
    row.prompt = GetString(json, "prompt", row.where);
    row.completion = GetString(json, "completion", row.where);
    AddSystem(json, row);
  }
  row.wanted = ReadLabel(json, row.where);
}

}  // namespace retort
