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
        raw_tokens_(std::move(pipeline.raw_tokens)),
        normalizer_(pipeline.normalizers, where),
        pre_tokenizer_(pipeline.splits, where),
        cut_at_marks_(pipeline.splits.empty() && CutsAtMarks(spec(), pipeline.options)),
        model_(spec(), spoken(), pipeline.options, where),
        normalized_tokens_(Normalized(std::move(pipeline.normalized_tokens))) {}

  std::vector<int32_t> Encode(const std::vector<Segment>& segments,
                              bool continuation) const override {
    const Pool<Workspace>::Loan work(&workspaces_);
    const MarkedText marked(segments);
    std::vector<int32_t> ids;
    ids.reserve(marked.text().size() / 3);
    for (const Run& run : raw_tokens_.Cut(marked)) {
      if (run.id >= 0) {
        ids.push_back(run.id);
      } else if (normalizer_.empty()) {
        EncodeNormalized(run.text, &*work, &ids);
      } else {
        EncodeNormalized(
            normalizer_.Apply(run.text, run.first, !(continuation && run.first), &work->regex),
            &*work, &ids);
      }
    }
    return ids;
  }

 private:
  struct Workspace {
    Regex::Scratch regex;
    BpeModel::Scratch model;
    WordCache cache;
    std::vector<PreTokenizer::Range> words;
  };

  // Normalises the texts of tokens that are found in normalised text, without a dummy prefix.
  std::vector<TokenizerSpec::AddedToken> Normalized(
      std::vector<TokenizerSpec::AddedToken> tokens) const {
    Regex::Scratch scratch;
    for (auto& token : tokens) token.text = normalizer_.Apply(token.text, false, false, &scratch);
    return tokens;
  }

  void EncodeNormalized(std::string_view text, Workspace* work, std::vector<int32_t>* ids) const {
    if (normalized_tokens_.empty()) return EncodeWords(text, work, ids);
    for (const Run& run : normalized_tokens_.Cut(text)) {
      if (run.id >= 0)
        ids->push_back(run.id);
      else
        EncodeWords(run.text, work, ids);
    }
  }

  void EncodeWords(std::string_view text, Workspace* work, std::vector<int32_t>* ids) const {
    // Only for valid UTF-8: a character cut off before a mark would decode differently if the text
    // ended there.
    if (cut_at_marks_ && ValidUtf8End(text, 0) == text.size()) {
      CutAtMarks(text, &work->words);
    } else {
      pre_tokenizer_.Apply(text, &work->regex, &work->words);
    }
    for (const PreTokenizer::Range range : work->words) {
      const std::string_view word = text.substr(range.begin, range.end - range.begin);
      const WordCache::Key key(word, text.data() + text.size());
      if (work->cache.Get(key, ids)) continue;
      const size_t before = ids->size();
      model_.Encode(word, &work->model, ids);
      work->cache.Put(key, ids->data() + before, ids->size() - before);
    }
  }

  AddedTokenFinder raw_tokens_;
  Normalizer normalizer_;
  PreTokenizer pre_tokenizer_;
  bool cut_at_marks_;
  BpeModel model_;
  AddedTokenFinder normalized_tokens_;
  mutable Pool<Workspace> workspaces_;
};

}  // namespace

std::unique_ptr<Tokenizer> MakeBpeTokenizer(TokenizerSpec spec, BpePipeline pipeline,
                                            const std::string& where) {
  return std::make_unique<BpeTokenizer>(std::move(spec), std::move(pipeline), where);
}

}  // namespace retort
