// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "tokenizer/added_tokens.h"
#include "tokenizer/base_tokenizer.h"
#include "tokenizer/bpe.h"
#include "tokenizer/bpe_pipeline.h"
#include "tokenizer/meta_words.h"
#include "tokenizer/pool.h"
#include "tokenizer/utf8.h"
#include "tokenizer/word_cache.h"

namespace retort {
namespace {

// Whether a text that no step splits may be encoded word by word. "▁" must be a known piece: an
// unknown one would fuse with unknown characters on both sides.
bool CutsAtMarks(const TokenizerSpec& spec, const BpeOptions& options) {
  return !spec.byte_level && !options.ignore_merges && MarksOnlyLead(spec) &&
         std::ranges::any_of(spec.pieces, [](const TokenizerSpec::Piece& piece) {
           return piece.type == TokenizerSpec::PieceType::kNormal && piece.text == kMetaSpace;
         });
}

class BpeTokenizer : public BaseTokenizer {
 public:
  BpeTokenizer(TokenizerSpec given, BpePipeline pipeline, const std::string& where)
      : BaseTokenizer(std::move(given), where),
        raw_tokens_(std::move(pipeline.raw_tokens), where),
        normalizer_(pipeline.normalizers, where),
        pre_tokenizer_(pipeline.splits, where),
        cut_at_marks_(pipeline.splits.empty() && CutsAtMarks(spec(), pipeline.options)),
        model_(spec(), spoken(), pipeline.options, where),
        normalized_tokens_(Normalized(std::move(pipeline.normalized_tokens)), where),
        bytes_per_token_(MostBytes()) {}

 private:
  struct Workspace {
    Regex::Scratch regex;
    BpeModel::Scratch model;
    WordCache cache;
    std::vector<PreTokenizer::Range> words;
  };
  // One call of Encode.
  struct Job {
    Workspace& work;
    TextBudget budget;
    size_t limit;
    std::vector<int32_t>* ids;
  };

  size_t BytesPerToken() const override { return bytes_per_token_; }

  size_t MostBytes() const {
    const size_t raw = raw_tokens_.BytesPerToken(), normalized = normalized_tokens_.BytesPerToken();
    const size_t word = model_.BytesPerToken();
    if (raw == 0 || normalized == 0 || word == 0 || pre_tokenizer_.Removes()) return 0;
    return std::max(raw, normalizer_.Shrinks() * std::max(word, normalized));
  }

  // Normalises the texts of tokens that are found in normalised text, without a dummy prefix.
  std::vector<TokenizerSpec::AddedToken> Normalized(
      std::vector<TokenizerSpec::AddedToken> tokens) const {
    Regex::Scratch scratch;
    for (auto& token : tokens) {
      TextBudget budget(token.text.size());
      token.text = normalizer_.Apply(token.text, false, false, &scratch, &budget);
    }
    return tokens;
  }

  bool EncodeMarked(const MarkedText& text, bool continuation, size_t limit,
                    std::vector<int32_t>* ids) const override {
    const Pool<Workspace>::Loan work(&workspaces_);
    Job job{*work, TextBudget(text.text().size()), limit, ids};
    for (const Run& run : raw_tokens_.Cut(text)) {
      if (run.id >= 0) {
        ids->push_back(run.id);
      } else if (!EncodeRun(run, !(continuation && run.first), &job)) {
        return false;
      }
      if (ids->size() > limit) return false;
    }
    return true;
  }

  bool EncodeRun(const Run& run, bool prefix, Job* job) const {
    if (normalizer_.empty()) return EncodeNormalized(run.text, job);
    return EncodeNormalized(
        normalizer_.Apply(run.text, run.first, prefix, &job->work.regex, &job->budget), job);
  }

  bool EncodeNormalized(std::string_view text, Job* job) const {
    if (normalized_tokens_.empty()) return EncodeWords(text, job);
    for (const Run& run : normalized_tokens_.Cut(text)) {
      if (run.id >= 0) {
        job->ids->push_back(run.id);
      } else if (!EncodeWords(run.text, job)) {
        return false;
      }
      if (job->ids->size() > job->limit) return false;
    }
    return true;
  }

  bool EncodeWords(std::string_view text, Job* job) const {
    Workspace& work = job->work;
    std::vector<int32_t>* const ids = job->ids;
    // Only for valid UTF-8: a character cut off before a mark would decode differently if the text
    // ended there.
    if (cut_at_marks_ && ValidUtf8End(text, 0) == text.size()) {
      CutAtMarks(text, &work.words);
    } else {
      pre_tokenizer_.Apply(text, &work.regex, &job->budget, &work.words);
    }
    for (const PreTokenizer::Range range : work.words) {
      const std::string_view word = text.substr(range.begin, range.end - range.begin);
      const WordCache::Key key(word, text.data() + text.size());
      if (!work.cache.Get(key, ids)) {
        const size_t before = ids->size();
        if (TooMany(word.size(), model_.BytesPerToken(), job->limit - before)) return false;
        model_.Encode(word, &work.model, ids);
        work.cache.Put(key, ids->data() + before, ids->size() - before);
      }
      if (ids->size() > job->limit) return false;
    }
    return true;
  }

  AddedTokenFinder raw_tokens_;
  Normalizer normalizer_;
  PreTokenizer pre_tokenizer_;
  bool cut_at_marks_;
  BpeModel model_;
  AddedTokenFinder normalized_tokens_;
  size_t bytes_per_token_;
  mutable Pool<Workspace> workspaces_;
};

}  // namespace

std::unique_ptr<Tokenizer> MakeBpeTokenizer(TokenizerSpec spec, BpePipeline pipeline,
                                            const std::string& where) {
  return std::make_unique<BpeTokenizer>(std::move(spec), std::move(pipeline), where);
}

}  // namespace retort
