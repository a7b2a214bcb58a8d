// SPDX-License-Identifier: Apache-2.0
#include "grammar/grammar.h"

#include <mutex>

#include "base/error.h"
#include "grammar/token_masks.h"

namespace retort {
namespace {

// Steps of one call: about a tenth of a second. All streams of a server wait for it.
constexpr uint64_t kMostSteps = 1'000'000;
constexpr uint64_t kStepsPerByte = 20'000;  // of a text that is read

}  // namespace

struct Grammar::State {
  State(std::unique_ptr<GrammarParts> parts, std::shared_ptr<const Vocabulary> words)
      : parser(std::move(parts)), vocabulary(std::move(words)) {
    if (vocabulary) masks = std::make_unique<TokenMasks>(parser, *vocabulary);
  }

  // The parser, whose next call has steps of its own. Only with the mutex held.
  Parser& Allowed(std::string_view text = "") {
    parser.Allow(kMostSteps + kStepsPerByte * text.size());
    return parser;
  }

  std::mutex mutex;
  Parser parser;
  std::shared_ptr<const Vocabulary> vocabulary;
  std::unique_ptr<TokenMasks> masks;
};

Grammar::Grammar(std::unique_ptr<GrammarParts> parts, std::shared_ptr<const Vocabulary> vocabulary)
    : state_(std::make_unique<State>(std::move(parts), std::move(vocabulary))) {}
Grammar::~Grammar() = default;

bool Grammar::Matches(std::string_view text) const {
  const std::lock_guard lock(state_->mutex);
  Parser& parser = state_->Allowed(text);
  Parser::Configuration at = parser.Start();
  return parser.Read(at, text) && at.ends;
}

size_t Grammar::bytes() const {
  const std::lock_guard lock(state_->mutex);
  return state_->parser.bytes() + (state_->masks ? state_->masks->bytes() : 0);
}

Matcher::Matcher(std::shared_ptr<const Grammar> grammar) : grammar_(std::move(grammar)) {
  RETORT_CHECK(grammar_->state_->vocabulary, "a matcher of a grammar without a vocabulary");
  const std::lock_guard lock(grammar_->state_->mutex);
  at_ = grammar_->state_->Allowed().Start();
}

const Vocabulary& Matcher::vocabulary() const { return *grammar_->state_->vocabulary; }

void Matcher::FillMask(std::span<uint64_t> bits) const {
  RETORT_CHECK(bits.size() == vocabulary().mask_words(), "a mask of ", bits.size(), " words");
  const std::lock_guard lock(grammar_->state_->mutex);
  grammar_->state_->Allowed();
  grammar_->state_->masks->Fill(at_, bits);
}

bool Matcher::Accept(int32_t token) {
  if (token < 0 || token >= vocabulary().size()) return false;
  const std::string& text = vocabulary().TextOf(token);
  return !text.empty() && AcceptText(text);
}

bool Matcher::AcceptText(std::string_view text) {
  const std::lock_guard lock(grammar_->state_->mutex);
  return grammar_->state_->Allowed(text).Read(at_, text);
}

std::string Matcher::ForcedText() const {
  const std::lock_guard lock(grammar_->state_->mutex);
  Parser& parser = grammar_->state_->Allowed();
  Parser::Configuration at = at_;
  std::string text;
  while (!at.ends && text.size() < kMostForced) {
    const ByteSet bytes = parser.FirstBytes(at);
    if (bytes.count() != 1) break;
    const auto byte = static_cast<uint8_t>(bytes._Find_first());
    text += static_cast<char>(byte);
    parser.Step(at, byte);
  }
  return text;
}

}  // namespace retort
