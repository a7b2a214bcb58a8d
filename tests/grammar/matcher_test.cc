// SPDX-License-Identifier: Apache-2.0
// Masks against trying every token, over a vocabulary whose tokens cross every border.
#include <random>

#include "base/strings.h"
#include "tests/grammar/grammar_texts.h"
#include "tests/tokenizer/byte_tokenizer.h"

namespace retort {
namespace {

using Kind = GrammarSource::Kind;

// All bytes, and pieces of JSON of up to 40 bytes.
class PieceTokenizer : public ByteTokenizer {
 public:
  PieceTokenizer() {
    std::mt19937 random(7);
    const std::vector<std::string> parts = {"\"",       ":",
                                            ",",        "{",
                                            "}",        "[",
                                            "]",        "a",
                                            "b",        "name",
                                            "12",       "0",
                                            "-",        ".5",
                                            "true",     "null",
                                            " ",        "\\n",
                                            "\\u00",    "\u00e9",
                                            "\xE2\x82", "\xAC",
                                            "xyz",      "e",
                                            "\\",       "aaaaaaaaaaaaaaaaaaa"};
    for (int i = 0; i < 3000; ++i) {
      std::string text;
      for (size_t n = 2 + random() % 4; n > 0; --n) text += parts[random() % parts.size()];
      mutable_spec().pieces.push_back({text});
    }
  }
  std::string Bytes(int32_t id, bool special) const override {
    return id < 256 ? ByteTokenizer::Bytes(id, special)
                    : spec().pieces.at(static_cast<size_t>(id)).text;
  }
};

const std::shared_ptr<const Vocabulary>& Pieces() {
  static const auto words = std::make_shared<const Vocabulary>(PieceTokenizer());
  return words;
}

// Follows random allowed tokens and compares each mask with what Accept says.
void ExpectMasksAreExact(const GrammarSource& source, uint32_t seed, int steps = 25) {
  const auto grammar = CompileGrammar(source, "test", Pieces());
  std::mt19937 random(seed);
  Matcher matcher(grammar);
  std::vector<uint64_t> bits(Pieces()->mask_words());
  for (int step = 0; step < steps; ++step) {
    matcher.FillMask(bits);
    std::vector<int32_t> allowed;
    for (int32_t id = 0; id < Pieces()->size(); ++id) {
      Matcher copy = matcher;
      const bool bit = bits[static_cast<size_t>(id) / 64] >> id % 64 & 1;
      ASSERT_EQ(copy.Accept(id), bit)
          << source.text << " at step " << step << ", token '" << Pieces()->TextOf(id) << "'";
      if (bit) allowed.push_back(id);
    }
    ASSERT_EQ(allowed.empty(), !matcher.CanGoOn());
    if (allowed.empty()) return;
    ASSERT_TRUE(matcher.Accept(allowed[random() % allowed.size()]));
  }
}

TEST(Matcher, MasksAreExact) {
  const std::vector<GrammarSource> sources = {
      {Kind::kJson},
      {Kind::kJson, "", JsonSpace::kFlexible},
      {Kind::kRegex, "(a|b|\"){3,50}(xyz)?[^x]*"},
      {Kind::kSchema, R"({"type": "string", "maxLength": 45})"},
      {Kind::kSchema, R"({"type": "string", "pattern": "^[ab].*e$", "minLength": 3})"},
      {Kind::kSchema, R"({"type": "array", "items": {"type": ["string", "number", "null"]}})"},
      {Kind::kSchema, R"({"properties": {"name": {"enum": ["a", "aa", "ab"]}, "b": true},
                          "type": "object"})"},
      {Kind::kSchema, R"({"type": "object", "additionalProperties": {"type": "integer"},
                          "propertyNames": {"pattern": "^a"}})"},
      {Kind::kSchema, R"({"$defs": {"t": {"type": "array", "items": {"$ref": "#/$defs/t"}}},
                          "$ref": "#/$defs/t"})"},
      {Kind::kGbnf, "root ::= \"[\" root? \"]\" | [a-z]+ \",\" root | [0-9]"}};
  for (uint32_t seed = 1; seed <= 3; ++seed)
    for (const GrammarSource& source : sources) ExpectMasksAreExact(source, seed);
}

TEST(Matcher, ForcesWhatHasNoChoice) {
  const auto grammar = CompileGrammar(
      {Kind::kSchema, R"({"type": "object", "properties": {"name": {"type": "integer"}},
                          "required": ["name"], "additionalProperties": false})"},
      "test", Pieces());
  Matcher matcher(grammar);
  EXPECT_EQ(matcher.ForcedText(), "{\"name\":");
  ASSERT_TRUE(matcher.AcceptText("{\"name\":"));
  EXPECT_EQ(matcher.ForcedText(), "");
  ASSERT_TRUE(matcher.AcceptText("-12"));
  EXPECT_FALSE(matcher.CanEnd());
  ASSERT_TRUE(matcher.AcceptText("}"));
  EXPECT_TRUE(matcher.CanEnd());
  EXPECT_FALSE(matcher.CanGoOn());
}

TEST(Matcher, ACopyIsAPlaceToComeBackTo) {
  const auto grammar = CompileGrammar({Kind::kRegex, "ab|ac"}, "test", Pieces());
  Matcher matcher(grammar);
  ASSERT_TRUE(matcher.AcceptText("a"));
  Matcher before = matcher;
  ASSERT_TRUE(matcher.AcceptText("b"));
  EXPECT_FALSE(Matcher(matcher).AcceptText("c"));
  EXPECT_TRUE(before.AcceptText("c"));
}

// All bytes, and these texts.
class TextTokenizer : public ByteTokenizer {
 public:
  explicit TextTokenizer(const std::vector<std::string>& texts) {
    for (const std::string& text : texts) mutable_spec().pieces.push_back({text});
  }
  std::string Bytes(int32_t id, bool special) const override {
    return id < 256 ? ByteTokenizer::Bytes(id, special)
                    : spec().pieces.at(static_cast<size_t>(id)).text;
  }
};

TEST(Matcher, WaysThatMeetAreGoneOnFromOnce) {
  std::vector<std::string> spaces;
  for (size_t size = 2; size <= 60; ++size) spaces.push_back(std::string(size, ' '));
  const auto words = std::make_shared<const Vocabulary>(TextTokenizer(spaces));
  const auto grammar = CompileGrammar(
      {Kind::kGbnf,
       "root ::= \"[\" root \"]\" | (\" \" \"a\"?) root | (\" \" \"b\"?) root | \"c\""},
      "test", words);
  const Matcher matcher(grammar);
  std::vector<uint64_t> bits(words->mask_words());
  matcher.FillMask(bits);
  for (int32_t id = 0; id < words->size(); ++id) {
    const std::string& text = words->TextOf(id);
    const bool allowed = text == "[" || text == "c" ||
                         (!text.empty() && text.find_first_not_of(' ') == std::string::npos);
    EXPECT_EQ(bits[static_cast<size_t>(id) / 64] >> id % 64 & 1, allowed ? 1u : 0u) << text;
  }
}

TEST(Matcher, AMaskThatWalksTooMuchIsRefused) {
  // Half a million bytes of tokens, a hundred times.
  std::mt19937 random(7);
  std::vector<std::string> texts(2500, std::string(200, 'a'));
  for (std::string& text : texts)
    for (char& c : text) c = static_cast<char>('a' + random() % 20);
  const auto words = std::make_shared<const Vocabulary>(TextTokenizer(texts));
  std::string text = "root ::= \"z\" | \"(\" root \")\"";
  for (int i = 0; i < 100; ++i) text += Cat(" | [^x]* \"", i + 100, "\" root");
  const Matcher matcher(CompileGrammar({Kind::kGbnf, text}, "test", words));
  std::vector<uint64_t> bits(words->mask_words());
  EXPECT_THROW(matcher.FillMask(bits), Error);
}

}  // namespace
}  // namespace retort
