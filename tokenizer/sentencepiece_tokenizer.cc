// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <optional>
#include <unordered_set>

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
  if (spec.unigram || !spec.charsmap.empty()) return false;
  if (!MarksOnlyLead(spec)) return false;
  if (spec.byte_fallback) return true;  // else adjacent unknown characters fuse into one
  return std::ranges::any_of(spec.pieces, [](const TokenizerSpec::Piece& piece) {
    const bool of_text = piece.type == PieceType::kNormal ||
                         piece.type == PieceType::kUserDefined || piece.type == PieceType::kUnused;
    return of_text && piece.text == kMetaSpace;
  });
}

// The tokens that cut a text: special pieces, user-defined ones where the spec says so, and those
// that files beside the model add, with their flags.
std::vector<TokenizerSpec::AddedToken> CuttingTokens(const TokenizerSpec& spec) {
  std::vector<TokenizerSpec::AddedToken> tokens = spec.added;
  std::unordered_set<int32_t> added;
  for (const TokenizerSpec::AddedToken& token : spec.added) added.insert(token.id);
  for (auto& token : AddedTokensOfPieces(spec, spec.cut_user_defined)) {
    if (!added.contains(token.id)) tokens.push_back(std::move(token));
  }
  return tokens;
}

class SentencePieceTokenizer : public BaseTokenizer {
 public:
  SentencePieceTokenizer(TokenizerSpec given, const std::string& where)
      : BaseTokenizer(std::move(given), where),
        specials_(CuttingTokens(spec()), where),
        own_(SentencePieceBpe::Make(spec())),
        by_words_((own_ || !spec().remove_extra_whitespaces) && WordsAreIndependent(spec())),
        bytes_per_token_(MostBytes()) {
    if (own_) return;
    plain_.emplace(spec(), /*prefix=*/false, where);
    // If spaces are normalised, only the library itself can put one before the text.
    const bool own_prefix = spec().remove_extra_whitespaces || !spec().charsmap.empty();
    if (spec().add_space_prefix && own_prefix) prefixed_.emplace(spec(), true, where);
  }

 private:
  struct Workspace {
    WordCache cache;
    SentencePieceBpe::Scratch own;
  };
  // One call of Encode.
  struct Job {
    Workspace& work;
    size_t limit;
    std::vector<int32_t>* ids;
  };

  size_t BytesPerToken() const override { return bytes_per_token_; }

  // Without byte pieces, unknown characters fuse; tables and the removal of spaces shorten a text.
  size_t MostBytes() const {
    if (!spec().byte_fallback || !spec().charsmap.empty() || spec().remove_extra_whitespaces)
      return 0;
    size_t most = 4;
    for (const TokenizerSpec::Piece& piece : spec().pieces)
      most = std::max(most, piece.text.size());
    return most;
  }

  bool EncodeMarked(const MarkedText& text, bool continuation, size_t limit,
                    std::vector<int32_t>* ids) const override {
    const Pool<Workspace>::Loan work(&workspaces_);
    Job job{*work, limit, ids};
    for (const Run& run : specials_.Cut(text)) {
      const bool prefix = spec().add_space_prefix && !(continuation && run.first);
      bool fits = true;
      if (run.id >= 0) {
        ids->push_back(run.id);
      } else if (own_ && spec().remove_extra_whitespaces) {
        fits = EncodeRun(WithoutExtraSpaces(run.text, prefix, continuation && run.first), &job);
      } else if (prefix && prefixed_) {
        Append(prefixed_->Encode(run.text), ids);
      } else if (prefix) {
        fits = EncodeRun(Cat(" ", run.text), &job);
      } else {
        fits = EncodeRun(run.text, &job);
      }
      if (!fits || ids->size() > limit) return false;
    }
    return true;
  }

  static void Append(const std::vector<int32_t>& more, std::vector<int32_t>* ids) {
    ids->insert(ids->end(), more.begin(), more.end());
  }

  bool EncodeRun(std::string_view text, Job* job) const {
    if (!by_words_) return EncodePart(text, job);
    const char* const text_end = text.data() + text.size();
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = WordEnd(text, begin);
      const std::string_view word = text.substr(begin, end - begin);
      begin = end;
      if (job->ids->size() > job->limit) return false;
      const WordCache::Key key(word, text_end);
      if (job->work.cache.Get(key, job->ids)) continue;
      const size_t before = job->ids->size();
      if (!EncodePart(word, job)) return false;
      job->work.cache.Put(key, job->ids->data() + before, job->ids->size() - before);
    }
    return true;
  }

  bool EncodePart(std::string_view part, Job* job) const {
    const size_t before = job->ids->size();
    if (TooMany(part.size(), bytes_per_token_, job->limit - before)) return false;
    if (own_)
      own_->Encode(part, &job->work.own, job->ids);
    else
      Append(plain_->Encode(part), job->ids);
    return true;
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
  size_t bytes_per_token_;
  mutable Pool<Workspace> workspaces_;
};

}  // namespace

std::unique_ptr<Tokenizer> MakeSentencePieceTokenizer(TokenizerSpec spec,
                                                      const std::string& where) {
  CheckSentencePieceSpec(spec, where);
  return std::make_unique<SentencePieceTokenizer>(std::move(spec), where);
}

}  // namespace retort
