// SPDX-License-Identifier: Apache-2.0
// What is known of the keys of a row and of its messages. A key is read; or it is known to change
// what a row means in a way that cannot be kept, and is refused; or it is no part of the training
// (an id, a source) and is reported once. In a message, every other key is the chat template's.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "data/rows.h"

namespace retort {

// Whether a row of format prompt_completion is one of question and answer.
bool IsQuestionRow(const Json& row);

// Whether a preference row has OpenAI's keys.
bool IsOpenAiPreference(const Json& row);
// Whether the row is a conversation: of format messages, or with prompt or answers that are lists.
bool IsConversation(const Json& row, RowFormat format);

struct RowKeyFault {
  std::string key;   // "tool_calls"
  std::string mend;  // why it is refused, and what to do
};

// Gives a row that is only a prompt an empty answer.
void AddMissingAnswer(Json& row);

// The first key of the row that is refused. Null and empty values mean what an absent key means.
// `detected`: the format was inferred, so that keys of another format make the row ambiguous.
std::optional<RowKeyFault> FindRowKeyFault(const Json& row, RowFormat format, bool detected);

// Whether a key beside 'messages' is given to the chat template by its name.
bool IsTemplateVariable(std::string_view key);
// Whether a message's key is given to the chat template, beside role and content.
bool IsTemplateKey(std::string_view key, const Json& value);

// Keys of the row and of its messages that are not part of the training and not empty.
std::vector<std::string> UnreadKeys(const Json& row, RowFormat format);

// What a row's 'label' says of its answer: true or 1 that it is a good one, false or 0 that it is
// not, nullopt neither.
std::optional<bool> LabelOf(const Json& label);

// A value as it may be printed: escaped and shortened.
std::string ShortJson(const Json& value);
// A key, or another text of a row, the same way and in single quotes.
std::string ShownKey(const std::string& key);

}  // namespace retort
