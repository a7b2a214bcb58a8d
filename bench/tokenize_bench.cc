// SPDX-License-Identifier: Apache-2.0
#include "bench/tokenize_bench.h"

#include <memory>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "data/rows.h"
#include "tokenizer/load_tokenizer.h"
#include "tokenizer/sentencepiece_library.h"

namespace retort {
namespace {

using Ids = std::vector<int32_t>;

void AddTexts(const Row& row, std::vector<std::string>* texts) {
  texts->insert(texts->end(), {row.prompt, row.completion, row.text});
  for (const Message& message : row.messages) texts->push_back(message.content);
}

std::vector<std::string> TextsOf(const TokenizeBench& options) {
  std::vector<std::string> texts;
  if (!options.whole && options.file.extension() == ".jsonl") {
    const Rows rows = Rows::Open({{options.file}});
    for (int64_t i = 0; i < rows.size(); ++i) AddTexts(rows.Read(i), &texts);
  } else {
    std::string text = ReadText(options.file, UINT64_MAX);
    for (size_t begin = 0; !options.whole && begin < text.size();) {
      const size_t end = std::min(text.find('\n', begin), text.size());
      texts.push_back(text.substr(begin, end - begin));
      begin = end + 1;
    }
    if (options.whole) texts.push_back(std::move(text));
  }
  std::erase_if(texts, [](const std::string& text) { return text.empty(); });
  if (texts.empty()) throw InputError(options.file.string(), ": there is no text in it");
  return texts;
}

struct Timed {
  double seconds;
  std::vector<Ids> ids;
};

template <class Encode>
Timed EncodeAll(const std::vector<std::string>& texts, const Encode& encode) {
  Timed timed;
  timed.ids.reserve(texts.size());
  const Stopwatch watch;
  for (const std::string& text : texts) timed.ids.push_back(encode(text));
  timed.seconds = watch.seconds();
  return timed;
}

void CheckSame(const std::vector<std::string>& texts, const Timed& ours, const Timed& library) {
  for (size_t i = 0; i < texts.size(); ++i) {
    if (ours.ids[i] != library.ids[i]) {
      throw Failure("bench tokenize: the ids of text ", i + 1, " of ", texts.size(),
                    " differ from the SentencePiece library's");
    }
  }
}

}  // namespace

TokenizeResult BenchTokenize(
    const TokenizeBench& options,
    const std::function<void(int64_t done, int64_t total, double bytes_per_second)>& on_repeat) {
  const std::vector<std::string> texts = TextsOf(options);
  const TokenizerSpec spec = LoadTokenizer(Path(options.model))->spec();
  std::optional<SentencePieceLibrary> library;
  if (spec.kind == TokenizerSpec::Kind::kSentencePiece)
    library.emplace(spec, spec.add_space_prefix, options.model);

  TokenizeResult result;
  result.rows = static_cast<int64_t>(texts.size());
  for (const std::string& text : texts) result.bytes += static_cast<int64_t>(text.size());
  const auto bytes = static_cast<double>(result.bytes);
  std::vector<double> rates, library_rates, times;
  on_repeat(0, options.repeat, 0);
  for (int64_t i = 0; i <= options.repeat; ++i) {  // the first is a warm-up
    const auto tokenizer = Tokenizer::FromSpec(spec, options.model);
    const Timed ours =
        EncodeAll(texts, [&](const std::string& text) { return tokenizer->Encode(text); });
    std::optional<Timed> theirs;
    if (library) {
      theirs = EncodeAll(texts, [&](const std::string& text) { return library->Encode(text); });
      CheckSame(texts, ours, *theirs);
    }
    if (i == 0) {
      for (const Ids& ids : ours.ids) result.tokens += static_cast<int64_t>(ids.size());
      continue;
    }
    rates.push_back(bytes / ours.seconds);
    if (theirs) library_rates.push_back(bytes / theirs->seconds);
    if (theirs) times.push_back(theirs->seconds / ours.seconds);
    on_repeat(i, options.repeat, rates.back());
  }
  result.bytes_per_second = SpreadOf(rates);
  result.tokens_per_second =
      result.bytes_per_second.median * static_cast<double>(result.tokens) / bytes;
  if (library) {
    result.library_bytes_per_second = SpreadOf(library_rates);
    result.times_library = SpreadOf(times).median;
  }
  return result;
}

}  // namespace retort
