// SPDX-License-Identifier: Apache-2.0
#include "grammar/grammar.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <exception>
#include <mutex>

#include "base/error.h"
#include "grammar/token_masks.h"

namespace retort {
namespace {

// Steps of one call: about a tenth of a second. All streams of a server wait for it.
constexpr uint64_t kMostCallSteps = 1'000'000;
constexpr uint64_t kStepsPerByte = 20'000;  // of a text that is read
constexpr uint64_t kMostGuessSteps = kMostCallSteps / 10;

// "" where no text goes on with the token.
std::string_view TextOf(const Vocabulary& vocabulary, int32_t token) {
  if (token < 0 || token >= vocabulary.size()) return "";
  return vocabulary.TextOf(token);
}

}  // namespace

struct Grammar::State {
  State(std::unique_ptr<GrammarParts> parts, std::shared_ptr<const Vocabulary> words)
      : parser(std::move(parts)), vocabulary(std::move(words)), worn_at((1 + parser.used()) / 2) {
    if (vocabulary) masks = std::make_unique<TokenMasks>(parser, *vocabulary);
    bytes = parser.bytes();
  }

  std::mutex mutex;
  Parser parser;
  std::shared_ptr<const Vocabulary> vocabulary;
  std::unique_ptr<TokenMasks> masks;
  const double worn_at;  // of Parser::used()
  // As the last call left them, for those who don't wait.
  std::atomic<size_t> bytes = 0;
  std::atomic<bool> worn = false;
};

// A call, which has the parser for itself and steps of its own.
class Grammar::Turn {
 public:
  explicit Turn(State& state, std::string_view text = "")
      : Turn(state, kMostCallSteps + kStepsPerByte * text.size()) {}
  Turn(State& state, uint64_t steps) : state_(state), lock_(state.mutex) {
    state.parser.Allow(steps);
  }
  ~Turn() {
    const size_t bytes = state_.parser.bytes() + (state_.masks ? state_.masks->bytes() : 0);
    state_.bytes.store(bytes, std::memory_order_relaxed);
    if (std::uncaught_exceptions() > thrown_ || state_.parser.used() > state_.worn_at)
      state_.worn = true;
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

  Parser& parser() const { return state_.parser; }

 private:
  State& state_;
  const std::lock_guard<std::mutex> lock_;
  const int thrown_ = std::uncaught_exceptions();
};

Grammar::Grammar(std::unique_ptr<GrammarParts> parts, std::shared_ptr<const Vocabulary> vocabulary)
    : state_(std::make_unique<State>(std::move(parts), std::move(vocabulary))) {}
Grammar::~Grammar() = default;

bool Grammar::Matches(std::string_view text) const {
  const Turn turn(*state_, text);
  Parser::Configuration at = turn.parser().Start();
  return turn.parser().Read(at, text) && at.ends;
}

size_t Grammar::CountRead(std::string_view text) const {
  const Turn turn(*state_, text);
  Parser::Configuration at = turn.parser().Start();
  size_t read = 0;
  while (read < text.size() && turn.parser().Step(at, static_cast<uint8_t>(text[read]))) ++read;
  return read;
}

size_t Grammar::bytes() const { return state_->bytes; }
bool Grammar::worn() const { return state_->worn; }

Matcher::Matcher(std::shared_ptr<const Grammar> grammar) : grammar_(std::move(grammar)) {
  RETORT_CHECK(grammar_->state_->vocabulary, "a matcher of a grammar without a vocabulary");
  at_ = Grammar::Turn(*grammar_->state_).parser().Start();
}

const Vocabulary& Matcher::vocabulary() const { return *grammar_->state_->vocabulary; }

void Matcher::FillMask(std::span<uint64_t> bits) const {
  RETORT_CHECK(bits.size() == vocabulary().mask_words(), "a mask of ", bits.size(), " words");
  const Grammar::Turn turn(*grammar_->state_);
  grammar_->state_->masks->Fill(at_, bits);
}

bool Matcher::Accept(int32_t token) {
  const std::string_view text = TextOf(vocabulary(), token);
  return !text.empty() && AcceptText(text);
}

bool Matcher::AcceptText(std::string_view text) {
  return Grammar::Turn(*grammar_->state_, text).parser().Read(at_, text);
}

std::optional<size_t> Matcher::CountAllowed(std::span<const int32_t> tokens) const {
  const Grammar::Turn turn(*grammar_->state_, kMostGuessSteps);
  Parser::Configuration at = at_;
  const auto follows = [&](int32_t token) {
    const std::string_view text = TextOf(vocabulary(), token);
    return !text.empty() && turn.parser().Read(at, text);
  };
  try {
    const auto end = std::ranges::find_if_not(tokens, follows);
    return static_cast<size_t>(end - tokens.begin());
  } catch (const Error& error) {
    if (error.kind() != Error::Kind::kInput) throw;
    return std::nullopt;
  }
}

ByteSet Matcher::NextBytes() const {
  return Grammar::Turn(*grammar_->state_).parser().FirstBytes(at_);
}

bool Matcher::MayBeLonger(int32_t token) const {
  const std::string& text = vocabulary().TextOf(token);
  TokenMask bits(vocabulary().mask_words());
  FillMask(bits);
  for (size_t word = 0; word < bits.size(); ++word) {
    for (uint64_t left = bits[word]; left != 0; left &= left - 1) {
      const auto other =
          static_cast<int32_t>(word * 64 + static_cast<size_t>(std::countr_zero(left)));
      const std::string& longer = vocabulary().TextOf(other);
      if (longer.size() > text.size() && longer.starts_with(text)) return true;
    }
  }
  return false;
}

std::string Matcher::ForcedText() const {
  const Grammar::Turn turn(*grammar_->state_);
  Parser& parser = turn.parser();
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
