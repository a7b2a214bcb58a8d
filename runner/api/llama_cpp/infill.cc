// SPDX-License-Identifier: Apache-2.0
// llama.cpp's /infill: what stands between two texts, of models that know marks for it.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "runner/api/error.h"
#include "runner/api/fields.h"
#include "runner/api/llama_cpp/llama_cpp.h"
#include "runner/api/openai/request.h"

namespace retort {
namespace {

// Added tokens: before the text ahead of the gap, before that behind it, and where what fills the
// gap begins. file: before each file, "" if there is none.
struct GapMarks {
  std::string_view prefix, suffix, middle, file;
};
constexpr GapMarks kGapMarks[] = {
    {"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|file_sep|>"},
    {"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|file_separator|>"},
    {"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", ""},
    {"<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<file_sep>"},
    {"<fim_prefix>", "<fim_suffix>", "<fim_middle>", ""},
    {"<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>", ""}};

// Of an added token, whether or not the file calls it special, as Qwen's does not. -1: none.
int32_t IdOf(const Tokenizer& tokenizer, std::string_view mark) {
  for (const TokenizerSpec::AddedToken& added : tokenizer.spec().added) {
    if (added.text == mark) return added.id;
  }
  return -1;
}

const GapMarks& MarksOf(const Tokenizer& tokenizer) {
  const auto has = [&](std::string_view mark) { return IdOf(tokenizer, mark) >= 0; };
  for (const GapMarks& marks : kGapMarks) {
    if (has(marks.prefix) && has(marks.suffix) && has(marks.middle) &&
        (marks.file.empty() || has(marks.file)))
      return marks;
  }
  throw ApiError(501, "this model's tokenizer has no tokens that mark a gap to be filled", "",
                 "no_infill");
}

// A file beside the one with the gap.
struct OtherFile {
  std::string name, text;
};

std::vector<OtherFile> OtherFiles(const Json& list) {
  const auto wrong = [] {
    return BadValue("input_extra", "must be a list of objects with texts 'text' and 'filename'");
  };
  std::vector<OtherFile> files;
  if (list.is_null()) return files;
  if (!list.is_array()) throw wrong();
  files.reserve(list.size());
  for (const Json& one : list) {
    if (!one.is_object()) throw wrong();
    const Json &name = MemberOf(one, "filename"), &text = MemberOf(one, "text");
    if (!text.is_string() || !(name.is_string() || name.is_null())) throw wrong();
    files.push_back({name.is_null() ? "" : name.get<std::string>(), text.get<std::string>()});
  }
  return files;
}

// What is the client's own is never read as a mark.
std::vector<Segment> GapText(const Json& object, const std::vector<OtherFile>& files,
                             const GapMarks& marks) {
  std::vector<Segment> text;
  const auto mark = [&](std::string_view of) { text.push_back({std::string(of), true}); };
  for (const OtherFile& file : files) {
    if (!marks.file.empty()) mark(marks.file);
    const bool named = !marks.file.empty() && !file.name.empty();
    text.push_back({Cat(named ? file.name + "\n" : "", file.text, "\n"), false});
  }
  if (!files.empty() && !marks.file.empty()) mark(marks.file);
  mark(marks.prefix);
  const std::string begun = MemberOf(object, "prompt").is_null() ? "" : TextField(object, "prompt");
  text.push_back({TextField(object, "input_prefix") + begun, false});
  mark(marks.suffix);
  text.push_back({TextField(object, "input_suffix"), false});
  mark(marks.middle);
  return text;
}

}  // namespace

LlamaCppRequest ReadInfillRequest(const std::string& body, uint64_t random_seed,
                                  const Tokenizer& tokenizer, size_t most_tokens) {
  Json object = ReadApiBody(body);
  const std::vector<OtherFile> files = OtherFiles(MemberOf(object, "input_extra"));
  TextField(object, "input_prefix"), TextField(object, "input_suffix");
  const GapMarks& marks = MarksOf(tokenizer);
  auto ids = AsRequestError("input_prefix", [&] {
    return tokenizer.EncodeAtMost(GapText(object, files, marks), true, most_tokens);
  });
  if (!ids) {
    throw ApiError(400, Cat("the prompt has more than ", most_tokens, " tokens"), "input_prefix",
                   "context_length_exceeded");
  }
  if (tokenizer.puts_bos()) ids->insert(ids->begin(), tokenizer.spec().bos);
  for (const char* name : {"input_prefix", "input_suffix", "input_extra"}) object.erase(name);
  object["prompt"] = *ids;
  LlamaCppRequest read = ReadLlamaCppObject(object, random_seed, tokenizer, most_tokens);
  // A model may go on with another file, or another gap.
  for (const std::string_view end : {marks.prefix, marks.suffix, marks.middle, marks.file}) {
    if (!end.empty()) read.request.sampling.stop_token_ids.push_back(IdOf(tokenizer, end));
  }
  return read;
}

}  // namespace retort
