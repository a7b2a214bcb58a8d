// SPDX-License-Identifier: Apache-2.0
// A letter for the notation, a grammar and, after a NUL, a text: what the grammar's masks say of
// each token must be what reading it says.
#include "base/error.h"
#include "fuzz/support.h"
#include "fuzz/tokenizers.h"
#include "grammar/compile.h"

namespace retort {
namespace {

constexpr int kMostSteps = 24;

GrammarSource SourceOf(std::string_view text) {
  using Kind = GrammarSource::Kind;
  const char letter = text.empty() ? 's' : text.front();
  const JsonSpace space = letter == 'f' ? JsonSpace::kFlexible : JsonSpace::kCompact;
  const Kind kind = letter == 'r'   ? Kind::kRegex
                    : letter == 'c' ? Kind::kChoices
                    : letter == 'g' ? Kind::kGbnf
                    : letter == 'l' ? Kind::kLark
                                    : Kind::kSchema;
  return {kind, std::string(text.substr(text.empty() ? 0 : 1)), space};
}

void Follow(const std::shared_ptr<const Grammar>& grammar, std::string_view choices) {
  Matcher matcher(grammar);
  std::vector<uint64_t> bits(matcher.vocabulary().mask_words());
  for (int step = 0; step < kMostSteps; ++step) {
    matcher.FillMask(bits);
    const size_t wanted =
        choices.empty() ? 0 : static_cast<uint8_t>(choices[step % choices.size()]);
    int32_t chosen = -1;
    for (int32_t id = 0; id < matcher.vocabulary().size(); ++id) {
      const bool allowed = bits[static_cast<size_t>(id) / 64] >> id % 64 & 1;
      if (allowed && (chosen < 0 || static_cast<size_t>(id) <= wanted)) chosen = id;
      if (id % 7 != step % 7) continue;
      Matcher copy = matcher;
      RETORT_CHECK(copy.Accept(id) == allowed, "mask and Accept differ at token ", id);
    }
    if (chosen < 0) return;
    RETORT_CHECK(matcher.Accept(chosen), "token ", chosen, " is in the mask and not accepted");
    matcher.ForcedText();
  }
}

}  // namespace
}  // namespace retort

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace retort;
  static const auto* vocabulary =
      new std::shared_ptr<const Vocabulary>(std::make_shared<const Vocabulary>(SmallTokenizer()));
  const auto [text, answer] = Cut(TextOf(data, size), std::string_view("\0", 1));
  Accepted([&, grammar_text = text, said = answer] {
    const auto grammar = CompileGrammar(SourceOf(grammar_text), "m", *vocabulary);
    grammar->Matches(said);
    Follow(grammar, said);
  });
  return 0;
}
