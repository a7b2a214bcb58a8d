// SPDX-License-Identifier: Apache-2.0
// Rows of a prompt and its answers, given as texts or as messages.
#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>

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

// Two answers that are conversations: `shared` of their messages, at the beginning, are the prompt.
size_t SharedMessages(const std::vector<Message>& a, const std::vector<Message>& b) {
  return static_cast<size_t>(std::ranges::mismatch(a, b, Same).in1 - a.begin());
}

void FillMessages(const Json& json, const PreferenceKeys& keys, Row& row, Row& rejected) {
  std::vector<Message> prompt,
      good = ReadMessageList(Need(json, keys.chosen, row.where), keys.chosen, row.where),
      bad = ReadMessageList(Need(json, keys.rejected, row.where), keys.rejected, row.where);
  if (keys.prompt) {
    prompt = ReadMessageList(*keys.prompt, keys.prompt_key, row.where);
  } else {
    const auto shared = static_cast<std::ptrdiff_t>(SharedMessages(good, bad));
    if (shared == std::ssize(good) || shared == std::ssize(bad)) {
      throw InputError(row.where, ": '", keys.chosen, "' and '", keys.rejected,
                       "' do not differ in a message of both");
    }
    prompt.assign(good.begin(), good.begin() + shared);
    good.erase(good.begin(), good.begin() + shared);
    bad.erase(bad.begin(), bad.begin() + shared);
  }
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
  if (label == true || label == 1) return true;
  if (label == false || label == 0) return false;
  throw InputError(where, ": 'label' is ", ShortJson(label), "; it must be true or false");
}

}  // namespace

void FillMessagePair(const Json& json, Row& row) {
  SetPrompt(ReadMessageList(Need(json, "prompt", row.where), "prompt", row.where),
            ReadMessageList(Need(json, "completion", row.where), "completion", row.where), row);
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
