// SPDX-License-Identifier: Apache-2.0
#include <optional>

#include "base/error.h"
#include "data/tokenizer/added_tokens.h"
#include "data/tokenizer/base_tokenizer.h"
#include "data/tokenizer/pool.h"
#include "data/tokenizer/sentencepiece_file.h"
#include "data/tokenizer/sentencepiece_library.h"
#include "data/tokenizer/utf8.h"
#include "data/tokenizer/word_cache.h"

namespace retort {
namespace {

using PieceType = TokenizerSpec::PieceType;

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
        plain_(spec(), /*prefix=*/false, where),
        by_words_(WordsAreIndependent(spec())) {
    // Where spaces are not kept as they are, only the library itself can put one before the text.
    const bool own_prefix = spec().remove_extra_whitespaces || !spec().charsmap.empty();
    if (spec().add_space_prefix && own_prefix) prefixed_.emplace(spec(), true, where);
  }

  std::vector<int32_t> Encode(const std::vector<Segment>& segments,
                              bool continuation) const override {
    const Pool<WordCache>::Loan cache(&caches_);
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
        Append(prefixed_->Encode(run.text), &ids);
      } else if (prefix) {
        EncodeText(Cat(" ", run.text), &*cache, &ids);
      } else {
        EncodeText(run.text, &*cache, &ids);
      }
    }
    return ids;
  }

 private:
  static void Append(const std::vector<int32_t>& more, std::vector<int32_t>* ids) {
    ids->insert(ids->end(), more.begin(), more.end());
  }

  void EncodeText(std::string_view text, WordCache* cache, std::vector<int32_t>* ids) const {
    if (!by_words_) return Append(plain_.Encode(text), ids);
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = WordEnd(text, begin);
      const std::string_view word = text.substr(begin, end - begin);
      begin = end;
      const WordCache::Key key(word, text.data() + text.size());
      if (cache->Get(key, ids)) continue;
      const std::vector<int32_t> more = plain_.Encode(word);
      cache->Put(key, more.data(), more.size());
      Append(more, ids);
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
  SentencePieceLibrary plain_;
  std::optional<SentencePieceLibrary> prefixed_;  // only where needed
  bool by_words_;
  mutable Pool<WordCache> caches_;
};

}  // namespace

std::unique_ptr<Tokenizer> MakeSentencePieceTokenizer(TokenizerSpec spec,
                                                      const std::string& where) {
  CheckSentencePieceSpec(spec, where);
  return std::make_unique<SentencePieceTokenizer>(std::move(spec), where);
}

}  // namespace retort
