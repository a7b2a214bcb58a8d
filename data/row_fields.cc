// SPDX-License-Identifier: Apache-2.0
#include "data/row_fields.h"

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/strings.h"
#include "data/row_keys.h"

namespace retort {
namespace {

// A message's 'weight' (OpenAI's fine-tuning rows), 'train' or 'loss' (true or false).
bool ReadLearn(const Json& message, const std::string& role, const std::string& place) {
  std::optional<bool> learn;
  for (const char* key : {"weight", "train", "loss"}) {
    const auto it = message.find(key);
    if (it == message.end() || it->is_null()) continue;
    const bool yes = *it == 1 || *it == true, no = *it == 0 || *it == false;
    if (!yes && !no) {
      throw InputError(place, ": '", key, "' is ", ShortJson(*it),
                       "; it must be 0 or 1, or true or false");
    }
    if (learn && *learn != yes)
      throw InputError(place, ": '", key, "' contradicts another key of the message");
    if (yes && role != "assistant") {
      throw InputError(place, ": '", key, "' asks for loss on a turn by ", ShownKey(role),
                       "; only the assistant's turns are learnt, so take the key out");
    }
    learn = yes;
  }
  return learn.value_or(true);
}

// A text, or a list of parts that are texts. nullopt: null or absent.
std::optional<std::string> ReadContent(const Json& message, const std::string& place) {
  const auto it = message.find("content");
  if (it == message.end() || it->is_null()) return std::nullopt;
  if (!it->is_array()) return GetString(message, "content", place);
  std::string text;
  for (const Json& part : *it) {
    if (!part.is_object() || part.value("type", Json()) != "text")
      throw InputError(place, ": 'content' has a part that is no text; only text is trained");
    text += GetString(part, "text", place);
  }
  return text;
}

// A role is the template's business, but many templates write any, so that a slip would be trained.
void CheckRole(const std::string& role, const std::string& place) {
  static const std::vector<std::string> known = {"system", "user",     "assistant", "developer",
                                                 "tool",   "function", "ipython",   "model"};
  if (std::ranges::find(known, role) != known.end()) return;
  if (const std::string near = Nearest(role, known); !near.empty())
    throw InputError(place, ": 'role' is ", ShownKey(role), "; did you mean '", near, "'?");
}

Message ReadMessage(const Json& json, const std::string& place) {
  if (!json.is_object()) throw InputError(place, ": must be an object with 'role' and 'content'");
  Message message{GetString(json, "role", place), ""};
  CheckRole(message.role, place);
  Json more = Json::object();
  for (const auto& [key, value] : json.items()) {
    if (IsTemplateKey(key, value)) AddMember(more, key, value);
  }
  const auto content = ReadContent(json, place);
  if (!content && !more.contains("tool_calls") && !more.contains("reasoning_content"))
    throw InputError(place, ": 'content' is missing");
  message.content = content.value_or("");
  if (!content) AddMember(more, "content", nullptr);
  if (!more.empty()) message.more = DumpJson(more);
  message.learn = ReadLearn(json, message.role, place);
  return message;
}

// The tools, a list or its JSON text, and the template's variables.
void ReadBeside(const Json& json, Row& row) {
  Json variables = Json::object();
  const auto add = [&](const std::string& key, const Json& value) {
    if (variables.contains(key)) throw InputError(row.where, ": '", key, "' is given twice");
    AddMember(variables, key, value);
  };
  for (const auto& [key, value] : json.items()) {
    if (key == "tools" && !value.is_null()) {
      row.tools = value.is_string() ? value.get<std::string>() : DumpJson(value);
      if (Strip(row.tools) == "[]" || Strip(row.tools).empty()) row.tools.clear();
    } else if (key == "chat_template_kwargs" && !value.is_null()) {
      if (!value.is_object()) throw InputError(row.where, ": '", key, "' must be an object");
      for (const auto& [name, own] : value.items()) add(name, own);
    } else if (IsTemplateVariable(key) && !value.is_null()) {
      add(key, value);
    }
  }
  if (!variables.empty()) row.variables = DumpJson(variables);
}

void AddSystemMessage(const Json& json, Row& row) {
  const std::string system = GetString(json, "system", row.where, "");
  if (system.empty()) return;
  if (!row.messages.empty() && row.messages.front().role == "system") {
    throw InputError(row.where,
                     ": 'system' stands beside a system message of the row's own; take one out");
  }
  row.messages.insert(row.messages.begin(), {"system", system});
}

std::vector<int32_t> ReadIds(const Json& row, const char* key, const std::string& where) {
  const auto it = row.find(key);
  if (it == row.end()) throw InputError(where, ": '", key, "' is missing");
  if (!it->is_array()) throw InputError(where, ": '", key, "' must be a list of integers");
  std::vector<int32_t> ids;
  ids.reserve(it->size());
  for (const Json& v : *it) {
    const bool fits = v.is_number_integer() &&
                      !(v.is_number_unsigned() && v.get<uint64_t>() > uint64_t{INT32_MAX}) &&
                      v.get<int64_t>() >= INT32_MIN && v.get<int64_t>() <= INT32_MAX;
    if (!fits) {
      throw InputError(where, ": '", key, "' must be a list of integers; entry ", ids.size() + 1,
                       " is ", ShortJson(v));
    }
    ids.push_back(v.get<int32_t>());
  }
  return ids;
}

// "### Instruction:" and what follows, up to where the output begins.
std::string AlpacaTurn(const std::string& instruction, const std::string& input) {
  return input.empty() ? Cat("### Instruction:\n", instruction, "\n\n### Response:")
                       : Cat("### Instruction:\n", instruction, "\n\n### Input:\n", input,
                             "\n\n### Response:");
}

// Earlier turns: a list of [instruction, output].
std::string AlpacaHistory(const Json& row, const std::string& where) {
  const auto it = row.find("history");
  if (it == row.end() || it->is_null()) return "";
  std::string out;
  const auto fault = [&] {
    return InputError(where, ": 'history' must be a list of [instruction, output], two texts each");
  };
  if (!it->is_array()) throw fault();
  for (const Json& turn : *it) {
    if (!turn.is_array() || turn.size() != 2 || !turn[0].is_string() || !turn[1].is_string())
      throw fault();
    out += Cat(AlpacaTurn(turn[0].get<std::string>(), ""), turn[1].get<std::string>(), "\n\n");
  }
  return out;
}

// The prompt wording of Stanford Alpaca.
std::string AlpacaPrompt(const Json& row, const std::string& where) {
  const std::string input = GetString(row, "input", where, "");
  return Cat("Below is an instruction that describes a task",
             input.empty() ? "" : ", paired with an input that provides further context",
             ". Write a response that appropriately completes the request.\n\n",
             AlpacaHistory(row, where), AlpacaTurn(GetString(row, "instruction", where), input));
}

void FillPromptCompletion(const Json& json, Row& row) {
  if (IsQuestionRow(json)) {
    row.prompt = Cat("Question: ", GetString(json, "question", row.where), "\nAnswer:");
    row.completion = Cat(" ", GetString(json, "answer", row.where));
  } else {
    row.prompt = GetString(json, "prompt", row.where);
    row.completion = GetString(json, "completion", row.where);
  }
}

void FillAlpaca(const Json& json, Row& row) {
  row.prompt = AlpacaPrompt(json, row.where);
  row.completion = GetString(json, "output", row.where);
  row.kind = RowFormat::kPromptCompletion;
}

void FillTokens(const Json& json, Row& row) {
  row.ids = ReadIds(json, "input_ids", row.where);
  row.labels = ReadIds(json, "labels", row.where);
  if (row.ids.size() != row.labels.size()) {
    throw InputError(row.where, ": 'input_ids' has ", row.ids.size(), " entries and 'labels' ",
                     row.labels.size(), "; they must be as many");
  }
  if (row.ids.empty()) throw InputError(row.where, ": 'input_ids' is empty");
}

}  // namespace

std::vector<Message> ReadMessageList(const Json& list, const char* key, const std::string& where) {
  if (list.is_string() && std::string_view(key) != "messages") {
    throw InputError(where, ": '", key,
                     "' is a text where a list of messages is needed; prompt and answers are all "
                     "texts, or all lists of {\"role\", \"content\"}");
  }
  if (!list.is_array()) throw InputError(where, ": '", key, "' must be a list of messages");
  std::vector<Message> messages;
  const std::string place =
      std::string_view(key) == "messages" ? Cat(where, ": message ") : Cat(where, ": ", key, " ");
  for (const Json& m : list) messages.push_back(ReadMessage(m, Cat(place, messages.size() + 1)));
  return messages;
}

void FillBesideMessages(const Json& json, Row& row) {
  row.kind = RowFormat::kMessages;
  AddSystemMessage(json, row);
  ReadBeside(json, row);
}

void AddSystem(const Json& json, Row& row) {
  const std::string system = GetString(json, "system", row.where, "");
  if (!system.empty()) row.prompt = Cat(system, "\n\n", row.prompt);
}

void FillRow(const Json& json, RowFormat format, Row& row) {
  row.kind = format;
  switch (format) {
    case RowFormat::kMessages: {
      const auto it = json.find("messages");
      if (it == json.end()) throw InputError(row.where, ": 'messages' is missing");
      row.messages = ReadMessageList(*it, "messages", row.where);
      return FillBesideMessages(json, row);
    }
    case RowFormat::kPromptCompletion:
      if (IsConversation(json, format)) return FillMessagePair(json, row);
      FillPromptCompletion(json, row);
      return AddSystem(json, row);
    case RowFormat::kAlpaca:
      FillAlpaca(json, row);
      return AddSystem(json, row);
    case RowFormat::kText:
      row.text = GetString(json, "text", row.where);
      return;
    case RowFormat::kTokens:
      return FillTokens(json, row);
    case RowFormat::kPreference:
      return FillPreference(json, row);
    case RowFormat::kUnpaired:
      return FillUnpaired(json, row);
    case RowFormat::kAuto:
      RETORT_CHECK(false, "a file's format is settled when it is opened");
  }
}

}  // namespace retort
