// SPDX-License-Identifier: Apache-2.0
#include "data/row_keys.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>

#include "base/error.h"

namespace retort {
namespace {

using Names = std::vector<std::string_view>;

bool Among(std::string_view key, std::span<const std::string_view> names) {
  return std::ranges::find(names, key) != names.end();
}

bool IsEmpty(const Json& value) {
  if (value.is_string()) return value.get_ref<const std::string&>().empty();
  return value.is_null() || (value.is_structured() && value.empty());
}

bool AllAre(const Json& list, int wanted) {
  return list.is_array() && std::ranges::all_of(list, [&](const Json& v) { return v == wanted; });
}

struct FormatKeys {
  RowFormat format;
  std::string_view name;
  Names keys;
};

// The keys that make a row one of a format, in the order in which a format is detected.
const std::vector<FormatKeys>& AllFormatKeys() {
  static const std::vector<FormatKeys> all = {
      {RowFormat::kMessages, "messages", {"messages"}},
      {RowFormat::kTokens, "tokens", {"input_ids", "labels"}},
      {RowFormat::kAlpaca, "alpaca", {"instruction", "input", "output"}},
      {RowFormat::kPromptCompletion,
       "prompt_completion",
       {"prompt", "completion", "question", "answer"}},
      {RowFormat::kText, "text", {"text"}},
      {RowFormat::kPreference,
       "preference",
       {"prompt", "chosen", "rejected", "input", "preferred_output", "non_preferred_output"}},
      {RowFormat::kUnpaired, "unpaired", {"prompt", "completion", "label"}},
  };
  return all;
}

const FormatKeys& Of(RowFormat format) {
  return *std::ranges::find(AllFormatKeys(), format, &FormatKeys::format);
}

// The keys of the format that this row is read from.
std::span<const std::string_view> KeysReadFrom(const Json& row, RowFormat format) {
  const std::span<const std::string_view> all = Of(format).keys;
  if (format == RowFormat::kPreference) return IsOpenAiPreference(row) ? all.last(3) : all.first(3);
  if (format != RowFormat::kPromptCompletion) return all;
  return IsQuestionRow(row) ? all.last(2) : all.first(2);
}

constexpr std::string_view kMessageRead[] = {"role", "content", "weight", "train", "loss"};
constexpr std::string_view kMessageUnread[] = {
    "id",     "message_id", "parent_id",  "index",       "uuid",       "timestamp",
    "date",   "created",    "created_at", "create_time", "updated_at", "metadata",
    "source", "model",      "lang",       "language"};

}  // namespace

bool IsTemplateVariable(std::string_view key) {
  return key == "documents" || key == "enable_thinking" || key == "chat_template_kwargs";
}

bool IsTemplateKey(std::string_view key, const Json& value) {
  return !Among(key, kMessageRead) && !Among(key, kMessageUnread) && !IsEmpty(value);
}

namespace {

// Keys that a row of the format may have beside its own, and that are read.
bool IsReadBeside(std::string_view key, const Json& row, RowFormat format) {
  if (key == "system") return format != RowFormat::kText && format != RowFormat::kTokens;
  if (key == "history") return format == RowFormat::kAlpaca;
  if ((key == "tools" || IsTemplateVariable(key)) && IsConversation(row, format)) return true;
  return key == "attention_mask" && format == RowFormat::kTokens;
}

struct KnownKeys {
  Names keys;
  std::string_view mend;
};

// Keys of a row that change what it means.
const std::vector<KnownKeys>& MeaningfulKeys() {
  static const std::vector<KnownKeys> all = {
      {{"tools", "functions", "tool_choice", "parallel_tool_calls", "function_call"},
       "only 'tools' beside 'messages' are written, by the chat template; give them so, or leave "
       "the row out"},
      {{"documents", "chat_template_kwargs", "chat_template", "enable_thinking", "response_format",
        "tool_calls"},
       "it is given to the chat template only beside 'messages', as 'documents', "
       "'enable_thinking' or within 'chat_template_kwargs'; take the key out"},
      {{"chosen", "rejected", "rejected_response", "preferred_output", "non_preferred_output"},
       "two answers are read as 'prompt', 'chosen' and 'rejected', and learnt with "
       "preference.method; give them so, or keep the preferred answer as the row's completion or "
       "last message"},
      {{"margin"}, "a margin between two answers is not used; take the key out"},
      {{"weight", "weights", "sample_weight", "loss_weight"},
       "a row has no weight of its own; give its file a weight in data.train, or take the key out"},
      {{"train", "loss", "mask", "loss_mask", "completion_mask", "assistant_masks",
        "assistant_mask", "train_on_inputs", "mask_history"},
       "which tokens are learnt is set by data.loss_on, by a message's 'weight', or by 'labels' "
       "beside 'input_ids'"},
      {{"reasoning_content", "reasoning", "thinking", "thoughts", "cot", "chain_of_thought"},
       "reasoning is not trained by itself; write it into the answer, or take the key out"},
      {{"image", "images", "audio", "audios", "video", "videos", "pixel_values"},
       "only text is trained; leave the row out"},
      {{"system", "history"},
       "rows of this format cannot have it; write the conversation as 'messages'"},
      {{"context", "passage", "choices", "options", "suffix"},
       "only the prompt is read; write it into the prompt, or take the key out"},
      {{"position_ids", "token_type_ids", "attention_mask"},
       "positions and masks of a row's own are not read; take the key out"},
      {{"label", "labels"},
       "a label beside the row is not trained; write it as the row's completion, or take the key "
       "out; whether an answer is good is 'label' true or false beside 'prompt' and 'completion', "
       "learnt with preference.method kto"},
  };
  return all;
}

const KnownKeys* FaultOf(std::string_view key, const std::vector<KnownKeys>& known) {
  const auto found =
      std::ranges::find_if(known, [&](const KnownKeys& k) { return Among(key, k.keys); });
  return found == known.end() ? nullptr : &*found;
}

// "'prompt', 'completion'"
std::string Listed(std::span<const std::string_view> keys) {
  std::string out;
  for (const std::string_view key : keys) out += Cat(out.empty() ? "'" : ", '", key, "'");
  return out;
}

// Values that say what Retort does anyway.
bool IsUsual(std::string_view key, const Json& value) {
  if (IsEmpty(value)) return true;
  if (key == "weight" || key == "train" || key == "loss") return value == 1 || value == true;
  if (key == "attention_mask") return AllAre(value, 1);
  if (key == "token_type_ids") return AllAre(value, 0);
  if (key == "enable_thinking" || key == "parallel_tool_calls") return value == false;
  return false;
}

}  // namespace

bool IsQuestionRow(const Json& row) { return row.contains("question") && !row.contains("prompt"); }

bool IsOpenAiPreference(const Json& row) { return row.contains("preferred_output"); }

bool IsConversation(const Json& row, RowFormat format) {
  if (format == RowFormat::kMessages) return true;
  if (format == RowFormat::kPreference && IsOpenAiPreference(row)) return true;
  const auto is_list = [&](const char* key) {
    const auto it = row.find(key);
    return it != row.end() && it->is_array();
  };
  switch (format) {
    case RowFormat::kPreference:
      return is_list("prompt") || is_list("chosen") || is_list("rejected");
    case RowFormat::kPromptCompletion:
    case RowFormat::kUnpaired:
      return is_list("prompt") || is_list("completion");
    default:
      return false;
  }
}

void AddMissingAnswer(Json& row) {
  if (row.contains("chosen") || IsOpenAiPreference(row)) return;  // two answers
  for (const auto& [prompt, answer] :
       {std::pair{"prompt", "completion"}, {"question", "answer"}, {"instruction", "output"}}) {
    if (!row.contains(prompt) || row.contains(answer)) continue;
    return AddMember(row, answer, row[prompt].is_array() ? Json::array() : Json(""));
  }
}

std::optional<RowKeyFault> FindRowKeyFault(const Json& row, RowFormat format, bool detected) {
  const std::span<const std::string_view> read = KeysReadFrom(row, format);
  for (const auto& [key, value] : row.items()) {
    if (Among(key, read) || IsUsual(key, value)) continue;
    if (IsReadBeside(key, row, format) && key != "attention_mask") continue;
    if (const KnownKeys* known = FaultOf(key, MeaningfulKeys())) {
      const bool about_the_row = key == "label" || key == "labels" || known->keys[0] == "context";
      if (about_the_row && !detected) continue;  // the format was named, so it is beside the point
      return RowKeyFault{key, std::string(known->mend)};
    }
    for (const FormatKeys& other : AllFormatKeys()) {
      if (!detected || !Among(key, other.keys)) continue;
      if (other.format == format) {
        return RowKeyFault{key, Cat("a row of format ", other.name, " is given by ", Listed(read),
                                    ", which stand beside it; keep one way to write the row")};
      }
      return RowKeyFault{
          key, Cat("belongs to rows of format ", other.name, ", and the row is read as ",
                   Of(format).name, "; take the key out, or set data.format to the one meant")};
    }
  }
  return std::nullopt;
}

std::vector<std::string> UnreadKeys(const Json& row, RowFormat format) {
  std::vector<std::string> out;
  const auto read = KeysReadFrom(row, format);
  for (const auto& [key, value] : row.items()) {
    if (!Among(key, read) && !IsReadBeside(key, row, format) && !IsUsual(key, value))
      out.push_back(key);
  }
  const auto messages = row.find("messages");
  if (format != RowFormat::kMessages || messages == row.end() || !messages->is_array()) return out;
  for (const Json& message : *messages) {
    if (!message.is_object()) continue;
    for (const auto& [key, value] : message.items()) {
      const std::string name = "messages." + key;
      if (Among(key, kMessageUnread) && !IsEmpty(value) &&
          std::ranges::find(out, name) == out.end())
        out.push_back(name);
    }
  }
  return out;
}

std::optional<bool> LabelOf(const Json& label) {
  if (label == true || label == 1) return true;
  if (label == false || label == 0) return false;
  return std::nullopt;
}

std::string ShortJson(const Json& value) {
  constexpr size_t kLongest = 40;
  std::string text = DumpJson(value);  // escaped
  if (text.size() <= kLongest) return text;
  size_t end = kLongest;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end) + "…";
}

std::string ShownKey(const std::string& key) {
  std::string text = ShortJson(Json(key));
  text.erase(0, 1);
  if (text.ends_with('"')) text.pop_back();
  return Cat("'", text, "'");
}

}  // namespace retort
