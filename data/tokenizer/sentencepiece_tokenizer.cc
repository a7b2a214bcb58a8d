// SPDX-License-Identifier: Apache-2.0
#include <sentencepiece_processor.h>

#include <algorithm>

#include "base/error.h"
#include "data/tokenizer/added_tokens.h"
#include "data/tokenizer/base_tokenizer.h"
#include "data/tokenizer/pool.h"
#include "data/tokenizer/sentencepiece_file.h"
#include "data/tokenizer/utf8.h"
#include "data/tokenizer/word_cache.h"

namespace sentencepiece::logging {
void SetMinLogLevel(int level);  // exported by the library, declared in none of its public headers
}  // namespace sentencepiece::logging

namespace retort {
namespace {

using sentencepiece::SentencePieceProcessor;
using PieceType = TokenizerSpec::PieceType;

constexpr int kSilent = 4;  // past the library's highest level; its errors come back as values

std::unique_ptr<SentencePieceProcessor> MakeProcessor(const TokenizerSpec& spec, bool prefix,
                                                      const std::string& where) {
  sentencepiece::logging::SetMinLogLevel(kSilent);
  auto processor = std::make_unique<SentencePieceProcessor>();
  const auto status = processor->LoadFromSerializedProto(WriteSentencePieceModel(spec, prefix));
  if (!status.ok())
    throw InputError(where, ": SentencePiece refuses the model: ", status.message());
  return processor;
}

// Whether " a b" may be encoded as " a" and " b": merges never cross from another character to a
// space, so the words' ids do not depend on each other. (Not so for unigram models, where rounding
// in the sum of scores can decide between two ways to cut a text.)
bool WordsAreIndependent(const TokenizerSpec& spec) {
  if (spec.unigram || !spec.charsmap.empty() || spec.remove_extra_whitespaces) return false;
  bool space_known = spec.byte_fallback;  // unknown characters side by side would fuse into one
  for (const auto& piece : spec.pieces) {
    if (piece.type != PieceType::kNormal && piece.type != PieceType::kUserDefined &&
        piece.type != PieceType::kUnused) {
      continue;
    }
    if (piece.text == kMetaSpace) space_known = true;
    if (piece.text.find(' ') != std::string::npos) return false;
    size_t word = 0;  // where the piece's leading marks end
    while (piece.text.compare(word, kMetaSpace.size(), kMetaSpace) == 0) word += kMetaSpace.size();
    if (piece.text.find(kMetaSpace, word) != std::string::npos) return false;
  }
  return space_known;
}

class SentencePieceTokenizer : public BaseTokenizer {
 public:
  SentencePieceTokenizer(TokenizerSpec given, const std::string& where)
      : BaseTokenizer(std::move(given), where),
        specials_(AddedTokensOfPieces(spec(), /*user_defined=*/false)),
        plain_(MakeProcessor(spec(), /*prefix=*/false, where)),
        by_words_(WordsAreIndependent(spec())) {
    // Where spaces are not kept as they are, only the library itself can put one before the text.
    const bool own_prefix = spec().remove_extra_whitespaces || !spec().charsmap.empty();
    if (spec().add_space_prefix && own_prefix) prefixed_ = MakeProcessor(spec(), true, where);
  }

  std::vector<int32_t> Encode(const std::vector<Segment>& segments,
                              bool continuation) const override {
    const Pool<Workspace>::Loan work(&workspaces_);
    const MarkedText marked(segments);
    std::vector<int32_t> ids;
    ids.reserve(marked.text().size() / 3);
    for (const Run& run : specials_.Cut(marked)) {
      if (run.id >= 0) {
        ids.push_back(run.id);
        continue;
      }
      const bool prefix = spec().add_space_prefix && !(continuation && run.first);
      if (prefix && prefixed_) {
        Append(*prefixed_, run.text, &work->ids, &ids);
      } else if (prefix) {
        EncodeText(Cat(" ", run.text), &*work, &ids);
      } else {
        EncodeText(run.text, &*work, &ids);
      }
    }
    return ids;
  }

 private:
  struct Workspace {
    std::vector<int> ids;
    WordCache cache;
  };

  static void Append(const SentencePieceProcessor& processor, std::string_view text,
                     std::vector<int>* scratch, std::vector<int32_t>* ids) {
    const auto status = processor.Encode(text, scratch);
    if (!status.ok()) throw Failure("SentencePiece cannot encode a text: ", status.message());
    ids->insert(ids->end(), scratch->begin(), scratch->end());
  }

  void EncodeText(std::string_view text, Workspace* work, std::vector<int32_t>* ids) const {
    if (!by_words_) return Append(*plain_, text, &work->ids, ids);
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = WordEnd(text, begin);
      const std::string_view word = text.substr(begin, end - begin);
      begin = end;
      if (work->cache.Get(word, ids)) continue;
      Append(*plain_, word, &work->ids, ids);
      work->cache.Put(word, work->ids.data(), work->ids.size());
    }
  }

  // The next space that follows another character than a space or U+2581.
  static size_t WordEnd(std::string_view text, size_t begin) {
    for (size_t end = text.find(' ', begin + 1); end != text.npos; end = text.find(' ', end + 1)) {
      if (text[end - 1] != ' ' && !EndsWith(text.substr(begin, end - begin), kMetaSpace))
        return end;
    }
    return text.size();
  }

  AddedTokenFinder specials_;
  std::unique_ptr<SentencePieceProcessor> plain_, prefixed_;  // prefixed_: only where needed
  bool by_words_;
  mutable Pool<Workspace> workspaces_;
};

}  // namespace

std::unique_ptr<Tokenizer> MakeSentencePieceTokenizer(TokenizerSpec spec,
                                                      const std::string& where) {
  CheckSentencePieceSpec(spec, where);
  return std::make_unique<SentencePieceTokenizer>(std::move(spec), where);
}

}  // namespace retort
