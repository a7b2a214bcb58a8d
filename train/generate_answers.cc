// SPDX-License-Identifier: Apache-2.0
#include "train/generate_answers.h"

#include <deque>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file_lock.h"
#include "base/json.h"
#include "base/random.h"
#include "data/examples.h"
#include "runner/engine/request_group.h"

namespace retort {
namespace {

// The row without its answer.
Row PromptOf(Row row) {
  if (row.kind == RowFormat::kMessages) {
    while (!row.messages.empty() && row.messages.back().role == "assistant")
      row.messages.pop_back();
    if (row.messages.empty())
      throw InputError(row.where, ": the conversation has no message before the assistant's");
  } else if (row.kind != RowFormat::kPromptCompletion) {
    throw InputError(row.where,
                     ": has no prompt to be answered; use rows of prompt and completion, "
                     "or of messages");
  }
  row.completion.clear();
  return row;
}

Json LineOf(const Row& prompt, const std::string& answer) {
  if (prompt.kind == RowFormat::kPromptCompletion)
    return {{"prompt", prompt.prompt}, {"completion", answer}};
  Json messages = Json::array();
  for (const Message& m : prompt.messages) {
    messages.push_back({{"role", m.role}, {"content", m.content}});
    if (!m.more.empty()) messages.back().update(ParseJson(m.more, prompt.where));
    if (!m.learn) messages.back()["weight"] = 0;
  }
  messages.push_back({{"role", "assistant"}, {"content", answer}});
  Json line = {{"messages", messages}};
  if (!prompt.tools.empty()) line["tools"] = ParseJson(prompt.tools, prompt.where);
  if (!prompt.variables.empty()) line.update(ParseJson(prompt.variables, prompt.where));
  return line;
}

// Whether a line of an earlier call answers this prompt.
bool Answers(Json line, const Row& prompt) {
  Json expected = LineOf(prompt, "");
  if (line.contains("completion")) line["completion"] = "";
  if (line.contains("messages") && line["messages"].is_array() && !line["messages"].empty())
    line["messages"].back()["content"] = "";
  return line == expected;
}

// The number of whole lines in the file. Removes an incomplete line at the end.
int64_t KeepWholeLines(const Path& out, const Rows& rows) {
  if (!std::filesystem::exists(out)) return 0;
  std::string text = ReadText(out, UINT64_MAX);
  const size_t end = text.rfind('\n');
  const size_t whole = end == std::string::npos ? 0 : end + 1;
  if (whole != text.size()) WriteTextAtomically(out, text.substr(0, whole));
  const std::vector<std::string> lines = Split(text.substr(0, whole), '\n');
  int64_t kept = 0;
  for (const std::string& line : lines) {
    if (line.empty()) continue;
    const std::string where = Cat(out.string(), ":", kept + 1);
    if (kept >= rows.size() || !Answers(ParseJson(line, where), PromptOf(rows.Read(kept)))) {
      throw InputError(where, ": answers another prompt than ",
                       kept < rows.size() ? rows.Where(kept) : "any row",
                       "; remove the file, or choose another with --out");
    }
    ++kept;
  }
  return kept;
}

struct Pending {
  std::string text;
  bool done = false;
};

}  // namespace

void CheckPrompts(const Rows& rows) {
  for (int64_t i = 0; i < rows.size(); ++i) PromptOf(rows.Read(i));
}

GeneratedAnswers GenerateAnswers(const Model& model, const Adapter* adapter,
                                 const Tokenizer& tokenizer, const ChatTemplate* chat,
                                 const Rows& rows, const Path& out, const GenerateOptions& options,
                                 const std::function<void(int64_t)>& on_progress) {
  GeneratedAnswers result;
  const FileLock lock(out.parent_path() / Cat(".", out.filename().string(), ".lock"), out.string());
  result.kept = KeepWholeLines(out, rows);
  AppendFile file(out);
  EngineOptions engine_options;
  engine_options.parallel = options.parallel;
  engine_options.cache_type = options.cache_type;
  Engine engine(model, adapter, tokenizer, engine_options);
  SamplingOptions sampling;
  sampling.temperature = options.temperature;
  sampling.max_tokens = options.max_new_tokens;
  if (chat) sampling.stop_ids.push_back(chat->CheckMarks(tokenizer, "the chat template"));

  std::deque<Pending> pending;  // of the rows from `written` on
  int64_t written = result.kept, next = result.kept;
  RequestGroup requests(engine);
  const auto submit = [&] {
    const Row prompt = PromptOf(rows.Read(next));
    PhiloxKey key = MakeKey(options.seed, RandomUse::kSample, static_cast<uint64_t>(next));
    sampling.seed = uint64_t{key[0]} << 32 | key[1];
    Pending& answer = pending.emplace_back();
    std::vector<int32_t> ids = EncodeRowPrompt(prompt, tokenizer, chat);
    if (std::ssize(ids) >= engine.context()) {
      throw InputError(prompt.where, ": the prompt's ", ids.size(),
                       " tokens leave no room for an answer in the teacher's context of ",
                       engine.context(), "; leave the row out");
    }
    requests.Submit({std::move(ids), sampling, [&answer, &result](const GenerationEvent& event) {
                       answer.text += event.text;
                       answer.done = event.finish != FinishReason::kNone;
                       result.cut += event.finish == FinishReason::kLength;
                       return true;
                     }});
    ++next;
  };
  const int64_t ahead = 4 * options.parallel;  // rows submitted beyond the last written line
  while (written < rows.size()) {
    while (next < rows.size() && next - written < ahead) submit();
    requests.Step();
    for (; !pending.empty() && pending.front().done; pending.pop_front(), ++written) {
      const Row prompt = PromptOf(rows.Read(written));
      file.Append(DumpJson(LineOf(prompt, pending.front().text)) + "\n");
      if (on_progress) on_progress(written + 1);
    }
  }
  result.tokens = engine.counts().generated_tokens;
  return result;
}

}  // namespace retort
