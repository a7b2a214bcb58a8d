// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <optional>

#include "base/error.h"
#include "tokenizer/added_tokens.h"
#include "tokenizer/base_tokenizer.h"
#include "tokenizer/meta_words.h"
#include "tokenizer/pool.h"
#include "tokenizer/sentencepiece_bpe.h"
#include "tokenizer/sentencepiece_file.h"
#include "tokenizer/sentencepiece_library.h"
#include "tokenizer/utf8.h"
#include "tokenizer/word_cache.h"

namespace retort {
namespace {

using PieceType = TokenizerSpec::PieceType;

// Whether " a b" may be encoded as " a" and " b": no merge joins a space to a preceding character,
// so the words' ids are independent. (Not so for unigram models, where rounding in the sum of
// scores can decide between two segmentations.)
bool WordsAreIndependent(const TokenizerSpec& spec) {
  if (spec.unigram || !spec.charsmap.empty() || spec.remove_extra_whitespaces) return false;
  if (!MarksOnlyLead(spec)) return false;
  if (spec.byte_fallback) return true;  // else adjacent unknown characters fuse into one
  return std::ranges::any_of(spec.pieces, [](const TokenizerSpec::Piece& piece) {
    const bool of_text = piece.type == PieceType::kNormal ||
                         piece.type == PieceType::kUserDefined || piece.type == PieceType::kUnused;
    return of_text && piece.text == kMetaSpace;
  });
}

class SentencePieceTokenizer : public BaseTokenizer {
 public:
  SentencePieceTokenizer(TokenizerSpec given, const std::string& where)
      : BaseTokenizer(std::move(given), where),
        specials_(AddedTokensOfPieces(spec(), /*user_defined=*/false)),
        own_(SentencePieceBpe::Make(spec())),
        by_words_(WordsAreIndependent(spec())) {
    if (own_) return;
    plain_.emplace(spec(), /*prefix=*/false, where);
    // If spaces are normalised, only the library itself can put one before the text.
    const bool own_prefix = spec().remove_extra_whitespaces || !spec().charsmap.empty();
    if (spec().add_space_prefix && own_prefix) prefixed_.emplace(spec(), true, where);
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
        Append(prefixed_->Encode(run.text), &ids);
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
    WordCache cache;
    SentencePieceBpe::Scratch own;
  };

  static void Append(const std::vector<int32_t>& more, std::vector<int32_t>* ids) {
    ids->insert(ids->end(), more.begin(), more.end());
  }

  void EncodeText(std::string_view text, Workspace* work, std::vector<int32_t>* ids) const {
    if (!by_words_) return EncodePart(text, work, ids);
    const char* const text_end = text.data() + text.size();
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = WordEnd(text, begin);
      const std::string_view word = text.substr(begin, end - begin);
      begin = end;
      const WordCache::Key key(word, text_end);
      if (work->cache.Get(key, ids)) continue;
      const size_t before = ids->size();
      EncodePart(word, work, ids);
      work->cache.Put(key, ids->data() + before, ids->size() - before);
    }
  }

  void EncodePart(std::string_view part, Workspace* work, std::vector<int32_t>* ids) const {
    if (own_) return own_->Encode(part, &work->own, ids);
    Append(plain_->Encode(part), ids);
  }

  // The next space whose preceding character is not a space or U+2581.
  static size_t WordEnd(std::string_view text, size_t begin) {
    for (size_t end = text.find(' ', begin + 1); end != text.npos; end = text.find(' ', end + 1)) {
      if (text[end - 1] != ' ' && !EndsWith(text.substr(begin, end - begin), kMetaSpace))
        return end;
    }
    return text.size();
  }

  AddedTokenFinder specials_;
  std::unique_ptr<SentencePieceBpe> own_;                 // else the library
  std::optional<SentencePieceLibrary> plain_, prefixed_;  // prefixed_: only if needed
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
