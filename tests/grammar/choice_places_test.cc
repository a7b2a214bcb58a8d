// SPDX-License-Identifier: Apache-2.0
#include "grammar/choice_places.h"

#include "base/strings.h"
#include "tests/grammar/grammar_texts.h"
#include "tests/tokenizer/byte_tokenizer.h"

namespace retort {
namespace {

std::vector<ChoicePlace> Places(const GrammarSource& source, const std::string& answer) {
  static const auto words = std::make_shared<const Vocabulary>(ByteTokenizer());
  const bool json = source.kind == kSchema;
  return ChoicePlaces(Matcher(CompileGrammar(source, "test", words)), answer,
                      json ? AnswerForm::kJson : AnswerForm::kText);
}

// "/kind: "cat" *"dog"", the one that is said with a star.
std::string Told(const GrammarSource& source, const std::string& answer) {
  std::string out;
  for (const ChoicePlace& place : Places(source, answer)) {
    EXPECT_EQ(answer.substr(place.begin, place.end - place.begin), place.values[place.said]);
    out += Cat(out.empty() ? "" : "; ", place.pointer, ":");
    for (size_t i = 0; i < place.values.size(); ++i)
      out += Cat(" ", i == place.said ? "*" : "", place.values[i]);
  }
  return out;
}

TEST(ChoicePlaces, AreEnumsBooleansNullsAndSmallRanges) {
  const GrammarSource source{kSchema, R"({"type": "object", "additionalProperties": false,
      "properties": {"kind": {"enum": ["cat", "dog", "do"]}, "name": {"type": "string"},
                     "ok": {"type": "boolean"}, "v": {"const": 1}, "n": {"type": "number"},
                     "age": {"type": ["null", "integer"], "minimum": 9, "maximum": 12}},
      "required": ["kind", "name", "ok", "v", "n", "age"]})"};
  EXPECT_EQ(Told(source, R"({"kind":"dog","name":"a\"}b","ok":true,"v":1,"n":3,"age":12})"),
            R"(/kind: "cat" "do" *"dog"; /ok: false *true; /age: 10 11 *12 9 null)");
}

TEST(ChoicePlaces, DependOnWhatWasSaidBefore) {
  const GrammarSource source{kSchema, R"({"anyOf": [
      {"type": "object", "properties": {"a": {"const": "x"}, "b": {"enum": [1, 2]}},
       "required": ["a", "b"], "additionalProperties": false},
      {"type": "object", "properties": {"a": {"const": "y"}, "b": {"enum": [2, 3]}},
       "required": ["a", "b"], "additionalProperties": false}]})"};
  EXPECT_EQ(Told(source, R"({"a":"x","b":2})"), R"(/a: *"x" "y"; /b: 1 *2)");
  EXPECT_EQ(Told(source, R"({"a":"y","b":2})"), R"(/a: "x" *"y"; /b: *2 3)");
}

TEST(ChoicePlaces, HaveJsonPointers) {
  const GrammarSource source{kSchema, R"({"type": "object", "required": ["a/b~c"],
      "properties": {"a/b~c": {"type": "array", "items": {"type": "array",
                                                        "items": {"type": "boolean"}}}}})",
                             JsonSpace::kSpaced};
  EXPECT_EQ(Told(source, R"({"a/b~c": [[], [true, false]]})"),
            "/a~1b~0c/1/0: false *true; /a~1b~0c/1/1: *false true");
  EXPECT_EQ(Told({kSchema, R"({"enum": ["a", 1]})"}, "1"), R"(: "a" *1)");
}

TEST(ChoicePlaces, OfTextsAreTheWholeText) {
  const GrammarSource choices{GrammarSource::Kind::kChoices, R"(["fee", "feed", "a b"])"};
  EXPECT_EQ(Told(choices, "fee"), ": a b *fee feed");
  EXPECT_EQ(Told({kRegex, "(yes|no)!?"}, "no!"), ": no *no! yes yes!");
  EXPECT_EQ(Told({kRegex, "[a-z]+"}, "no"), "");
}

TEST(ChoicePlaces, AnEmptyTextIsAValueOfTexts) {
  EXPECT_EQ(Told({kRegex, "(yes|no)?"}, "no"), ":  *no yes");
  EXPECT_EQ(Told({kRegex, "x?"}, ""), ": * x");
}

// What an answer's places take is bounded, however many there are and whatever they may say.
TEST(ChoicePlaces, BehindTooManyValuesAreLeftOut) {
  const auto listed = [](size_t values, size_t bytes, size_t items) {
    std::string labels, answer;
    for (size_t i = 0; i < values; ++i)
      labels += Cat(i == 0 ? "" : ",", "\"", 1000 + i, std::string(bytes, 'x'), "\"");
    for (size_t i = 0; i < items; ++i)
      answer += Cat(i == 0 ? "" : ",", "\"1000", std::string(bytes, 'x'), "\"");
    return Places({kSchema, Cat(R"({"type": "array", "items": {"enum": [)", labels, "]}}")},
                  Cat("[", answer, "]"))
        .size();
  };
  EXPECT_EQ(listed(2, 1, 3000), kMostAnswerValues / 2);
  EXPECT_EQ(listed(1000, 1, 30), 4u);
  EXPECT_EQ(listed(1000, 75, 14), 1u) << "80,000 bytes each";
  EXPECT_EQ(listed(1, 2000, 60), 0u);
}

TEST(ChoicePlaces, AreLeftOutWhereAValueMayBeManyThings) {
  EXPECT_EQ(Told({kSchema, "true"}, R"({"a": 1})"), "");
  EXPECT_EQ(Told({kSchema, R"({"anyOf": [{"enum": ["a", "b"]}, {"type": "array"}]})"}, R"("a")"),
            "");
  EXPECT_EQ(Told({kSchema, R"({"type": "integer", "minimum": 1, "maximum": 2000})"}, "7"), "");
  const auto places =
      Places({kSchema, R"({"type": "integer", "minimum": 1, "maximum": 1024})"}, "7");
  ASSERT_EQ(places.size(), 1u);
  EXPECT_EQ(places[0].values.size(), kMostChoiceValues);
}

}  // namespace
}  // namespace retort
