// SPDX-License-Identifier: Apache-2.0
#include "tokenizer/tokenizer.h"

#include <algorithm>

#include "base/error.h"
#include "tokenizer/base_tokenizer.h"
#include "tokenizer/bpe_pipeline.h"
#include "tokenizer/utf8.h"

namespace retort {
namespace {

// What the files beside a tokenizer say.
void TakeNeighbours(const TokenizerSpec& from, TokenizerSpec* to) {
  to->bos = from.bos, to->eos = from.eos, to->pad = from.pad, to->idle_unk = from.idle_unk;
  to->add_bos = from.add_bos, to->add_eos = from.add_eos;
  to->chat_template = from.chat_template;
}

// Takes BOS's text away from the beginning. Whether it stood there as markup.
bool TakeBos(const std::string& bos, std::vector<Segment>& segments) {
  for (Segment& segment : segments) {
    if (segment.text.empty()) continue;
    const bool begins = segment.markup && !bos.empty() && segment.text.starts_with(bos);
    if (begins) segment.text.erase(0, bos.size());
    return begins;
  }
  return false;
}

}  // namespace

std::unique_ptr<Tokenizer> Tokenizer::FromSpec(TokenizerSpec spec, const std::string& where) {
  if (spec.kind == TokenizerSpec::Kind::kSentencePiece) {
    return MakeSentencePieceTokenizer(std::move(spec), where);
  }
  if (!spec.tokenizer_steps.empty()) {
    // The GGUF's own keys have the last word on the tokens around a text.
    TokenizerSpec again = spec;
    BpePipeline pipeline = ParseTokenizerSteps(spec.tokenizer_steps, where, &again);
    TakeNeighbours(spec, &again);
    return MakeBpeTokenizer(std::move(again), std::move(pipeline), where);
  }
  if (spec.tokenizer_json.empty()) {
    BpePipeline pipeline = PipelineFromSpec(spec, where);
    return MakeBpeTokenizer(std::move(spec), std::move(pipeline), where);
  }
  // tokenizer.json has more details than the spec, but values from the folder's other files are
  // only in the spec.
  TokenizerSpec again;
  BpePipeline pipeline = ParseTokenizerJson(std::move(spec.tokenizer_json), where, &again);
  TakeNeighbours(spec, &again);
  if (!spec.pieces.empty()) {
    again.pieces = std::move(spec.pieces);
    again.added = std::move(spec.added);
    SortAddedTokens(again, &pipeline);
  }
  return MakeBpeTokenizer(std::move(again), std::move(pipeline), where);
}

std::optional<std::vector<int32_t>> Tokenizer::EncodeAtMost(const std::vector<Segment>& segments,
                                                            bool continuation, size_t limit) const {
  std::vector<int32_t> ids = Encode(segments, continuation);
  if (ids.size() > limit) return std::nullopt;
  return ids;
}

std::vector<int32_t> Tokenizer::EncodePrompt(std::string_view text) const {
  return *EncodePromptAtMost(text, kNoLimit);
}

std::optional<std::vector<int32_t>> Tokenizer::EncodePromptAtMost(std::vector<Segment> segments,
                                                                  size_t limit) const {
  const int32_t bos = spec().bos;
  const bool begins = (bos >= 0 && TakeBos(PieceText(bos), segments)) || puts_bos();
  if (!begins) return EncodeAtMost(segments, false, limit);
  if (limit == 0) return std::nullopt;
  auto ids = EncodeAtMost(segments, false, limit - 1);
  if (ids) ids->insert(ids->begin(), bos);
  return ids;
}

int32_t Tokenizer::used_ids() const {
  int32_t used = vocab_size();
  while (used > 1 &&
         spec().pieces[static_cast<size_t>(used - 1)].type == TokenizerSpec::PieceType::kUnused)
    --used;
  return used;
}

const std::string& Tokenizer::PieceText(int32_t id) const {
  RETORT_CHECK(id >= 0 && id < vocab_size(), "token ", id, " of ", vocab_size());
  return spec().pieces[id].text;
}

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, bool at_start, std::vector<int32_t> shown)
    : tokenizer_(tokenizer),
      at_start_(at_start && tokenizer.spec().strip_space),
      shown_(std::move(shown)) {}

std::string StreamDecoder::Push(int32_t id) {
  const bool shown = std::find(shown_.begin(), shown_.end(), id) != shown_.end();
  std::string bytes = tokenizer_.Bytes(id, shown);
  if (at_start_ && !bytes.empty()) {
    at_start_ = false;
    if (bytes[0] == ' ') bytes.erase(0, 1);
  }
  pending_ += bytes;
  std::string ready;
  size_t pos = 0;
  while (pos < pending_.size()) {
    const Utf8Char c = DecodeUtf8(pending_, pos);
    if (c.cut) break;
    AppendUtf8(c.code, &ready);
    pos += c.size;
  }
  pending_.erase(0, pos);
  return ready;
}

std::string StreamDecoder::Flush() {
  // The remaining bytes are an incomplete character: one U+FFFD for all of them.
  std::string rest;
  if (!pending_.empty()) AppendUtf8(0xFFFD, &rest);
  pending_.clear();
  return rest;
}

}  // namespace retort
