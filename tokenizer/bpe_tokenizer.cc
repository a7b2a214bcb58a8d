// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <optional>

#include "tokenizer/added_tokens.h"
#include "tokenizer/base_tokenizer.h"
#include "tokenizer/bpe.h"
#include "tokenizer/bpe_pipeline.h"
#include "tokenizer/meta_words.h"
#include "tokenizer/pool.h"
#include "tokenizer/unigram.h"
#include "tokenizer/utf8.h"
#include "tokenizer/word_cache.h"

namespace retort {
namespace {

// Whether a text that no step splits may be encoded word by word. "▁" must be a known piece: an
// unknown one would fuse with unknown characters on both sides.
bool CutsAtMarks(const TokenizerSpec& spec, const BpeOptions& options) {
  return spec.kind == TokenizerSpec::Kind::kBpe && !spec.byte_level && !options.ignore_merges &&
         MarksOnlyLead(spec) &&
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
        normalized_tokens_(Normalized(std::move(pipeline.normalized_tokens)), where) {
    if (spec().kind == TokenizerSpec::Kind::kUnigram)
      scores_.emplace(spec(), where);
    else
      merges_.emplace(spec(), spoken(), pipeline.options, where);
    word_bytes_ = merges_ ? merges_->BytesPerToken() : scores_->BytesPerToken();
    if (pipeline.stages.empty()) pipeline.stages.emplace_back();
    for (const TextStage& stage : pipeline.stages)
      stages_.push_back({Normalizer(stage.rewrites, where), PreTokenizer(stage.splits, where)});
    cut_at_marks_ = pipeline.stages.back().splits.empty() && CutsAtMarks(spec(), pipeline.options);
    bytes_per_token_ = MostBytes();
  }

 private:
  struct Stage {
    Normalizer rewrites;
    PreTokenizer splits;
  };
  struct Workspace {
    Regex::Scratch regex;
    BpeModel::Scratch merges;
    UnigramModel::Scratch scores;
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
  // Text between added tokens. `first`: it is the beginning of the whole text. `prefix`: whether
  // Prepend steps apply.
  struct Part {
    std::string_view text;
    bool first, prefix;
  };

  size_t BytesPerToken() const override { return bytes_per_token_; }

  size_t MostBytes() const {
    const size_t raw = raw_tokens_.BytesPerToken(), normalized = normalized_tokens_.BytesPerToken();
    size_t word = word_bytes_;
    for (const Stage& stage : stages_)
      word *= stage.splits.Removes() ? 0 : stage.rewrites.Shrinks();
    if (raw == 0 || normalized == 0 || word == 0) return 0;
    return std::max(raw, normalizer_.Shrinks() * std::max(word, normalized));
  }

  // Normalises the texts of tokens that are found in normalised text.
  std::vector<TokenizerSpec::AddedToken> Normalized(
      std::vector<TokenizerSpec::AddedToken> tokens) const {
    Regex::Scratch scratch;
    for (auto& token : tokens) {
      TextBudget budget(token.text.size());
      token.text = normalizer_.Apply(token.text, true, true, &scratch, &budget);
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
      } else if (!EncodeRun({run.text, run.first, !(continuation && run.first)}, text, &job)) {
        return false;
      }
      if (ids->size() > limit) return false;
    }
    return true;
  }

  std::string Normalize(const Part& part, Job* job) const {
    return normalizer_.Apply(part.text, part.first, part.prefix, &job->work.regex, &job->budget);
  }

  // A run of text between the raw tokens of `all`.
  bool EncodeRun(const Part& run, const MarkedText& all, Job* job) const {
    if (normalized_tokens_.has_special() && all.has_markup()) {
      const MarkedText normalized = NormalizeMarked(run, all, job);
      return EncodeNormalized(normalized_tokens_.Cut(normalized), run, job);
    }
    if (normalizer_.empty()) {
      return normalized_tokens_.empty()
                 ? EncodeWords(run, 0, job)
                 : EncodeNormalized(normalized_tokens_.Cut(run.text), run, job);
    }
    const std::string normalized = Normalize(run, job);
    return EncodeNormalized(normalized_tokens_.Cut(normalized), run, job);
  }

  // A run's normalised text and what of it is markup. Where markup and other text change each
  // other, none of it counts as markup.
  MarkedText NormalizeMarked(const Part& run, const MarkedText& all, Job* job) const {
    const auto begin = static_cast<size_t>(run.text.data() - all.text().data());
    std::vector<Segment> parts = all.Parts(begin, begin + run.text.size());
    if (normalizer_.empty()) return MarkedText(parts);
    std::string joined;
    for (size_t i = 0; i < parts.size(); ++i) {
      parts[i].text = Normalize({parts[i].text, run.first && i == 0, run.prefix && i == 0}, job);
      joined += parts[i].text;
    }
    std::string whole = Normalize(run, job);
    if (joined == whole) return MarkedText(parts);
    return MarkedText({{std::move(whole), false}});
  }

  bool EncodeNormalized(const std::vector<Run>& runs, const Part& of, Job* job) const {
    for (const Run& run : runs) {
      if (run.id >= 0) {
        job->ids->push_back(run.id);
      } else if (!EncodeWords({run.text, of.first && run.first, of.prefix || !run.first}, 0, job)) {
        return false;
      }
      if (job->ids->size() > job->limit) return false;
    }
    return true;
  }

  bool EncodeWords(const Part& part, size_t index, Job* job) const {
    const Stage& stage = stages_[index];
    if (stage.rewrites.empty()) return EncodeRewritten(part, index, job);
    const std::string text =
        stage.rewrites.Apply(part.text, part.first, part.prefix, &job->work.regex, &job->budget);
    return EncodeRewritten({text, part.first, part.prefix}, index, job);
  }

  bool EncodeRewritten(const Part& part, size_t index, Job* job) const {
    const std::string_view text = part.text;
    Workspace& work = job->work;
    const bool last = index + 1 == stages_.size();
    // Only for valid UTF-8: a character cut off before a mark would decode differently if the text
    // ended there.
    if (last && cut_at_marks_ && ValidUtf8End(text, 0) == text.size()) {
      CutAtMarks(text, &work.words);
    } else {
      stages_[index].splits.Apply(text, &work.regex, &job->budget, &work.words);
    }
    if (last) return EncodeEach(text, work.words, job);
    const std::vector<PreTokenizer::Range> words = work.words;
    for (const PreTokenizer::Range range : words) {
      const Part word{text.substr(range.begin, range.end - range.begin),
                      part.first && range.begin == 0, part.prefix || range.begin > 0};
      if (!EncodeWords(word, index + 1, job)) return false;
    }
    return true;
  }

  bool EncodeEach(std::string_view text, const std::vector<PreTokenizer::Range>& words,
                  Job* job) const {
    Workspace& work = job->work;
    std::vector<int32_t>* const ids = job->ids;
    for (const PreTokenizer::Range range : words) {
      const std::string_view word = text.substr(range.begin, range.end - range.begin);
      const WordCache::Key key(word, text.data() + text.size());
      if (!work.cache.Get(key, ids)) {
        const size_t before = ids->size();
        if (TooMany(word.size(), word_bytes_, job->limit - before)) return false;
        if (merges_)
          merges_->Encode(word, &work.merges, ids);
        else
          scores_->Encode(word, &work.scores, ids);
        work.cache.Put(key, ids->data() + before, ids->size() - before);
      }
      if (ids->size() > job->limit) return false;
    }
    return true;
  }

  AddedTokenFinder raw_tokens_;
  Normalizer normalizer_;
  std::optional<BpeModel> merges_;  // one of the two
  std::optional<UnigramModel> scores_;
  size_t word_bytes_ = 0;  // the most that one id stands for
  AddedTokenFinder normalized_tokens_;
  std::vector<Stage> stages_;  // at least one
  bool cut_at_marks_ = false;
  size_t bytes_per_token_ = 0;
  mutable Pool<Workspace> workspaces_;
};

}  // namespace

std::unique_ptr<Tokenizer> MakeBpeTokenizer(TokenizerSpec spec, BpePipeline pipeline,
                                            const std::string& where) {
  return std::make_unique<BpeTokenizer>(std::move(spec), std::move(pipeline), where);
}

}  // namespace retort
