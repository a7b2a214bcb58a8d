// SPDX-License-Identifier: Apache-2.0
// Grammars that are made to cost much are small all the same, or refused. (What takes long shows as
// a test that does not end.)
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/strings.h"
#include "tests/grammar/grammar_texts.h"

namespace retort {
namespace {

TEST(GrammarAbuse, RepetitionsOfRepetitions) {
  ExpectTexts(*Compiled(kRegex, "(a+)+b"), {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"}, {"aaaa"});
  ExpectTexts(*Compiled(kRegex, "a{0,100000}"), {"", std::string(100000, 'a')},
              {std::string(100001, 'a')});
  ExpectTexts(*Compiled(kRegex, "((a{0,1000}){0,1000}){0,1000}"), {"", "aaa"}, {"b"});
  ExpectTexts(*Compiled(kRegex, "(a|b)*a(a|b){20}"), {"a" + std::string(20, 'b')}, {"b"});
}

TEST(GrammarAbuse, ReferencesInCircles) {
  EXPECT_NE(Refusal(kSchema, R"({"$ref": "#"})").find("without an end"), std::string::npos);
  EXPECT_NE(Refusal(kSchema, R"({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"allOf": [
                    {"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"})")
                .find("without an end"),
            std::string::npos);
  EXPECT_NE(
      Refusal(kSchema, R"({"anyOf": [{"$ref": "#"}, {"type": "null"}]})").find("without an end"),
      std::string::npos);
}

TEST(GrammarAbuse, AThousandBranches) {
  Json branches = Json::array();
  for (int i = 0; i < 1000; ++i)
    branches.push_back(
        {{"type", "object"},
         {"required", {"k"}},
         {"properties", {{"k", {{"const", Cat("v", i)}}}, {"x", {{"type", "string"}}}}}});
  ExpectTexts(*Compiled(kSchema, DumpJson({{"oneOf", branches}})),
              {R"({"k":"v7","x":"y"})", R"({"k":"v999"})"}, {R"({"k":"v1000"})"});
}

TEST(GrammarAbuse, ConditionsWhoseCombinationsExplode) {
  Json all = Json::array();
  for (int i = 0; i < 12; ++i)
    all.push_back({{"pattern", Cat("[", static_cast<char>('a' + i), "].{", 10 + i, "}z")}});
  const std::string refusal = Refusal(kSchema, DumpJson({{"type", "string"}, {"allOf", all}}));
  EXPECT_NE(refusal, "");
}

TEST(GrammarAbuse, DeepSchemasAndTexts) {
  std::string schema = R"({"type": "null"})";
  for (int i = 0; i < 100; ++i) schema = R"({"items": )" + schema + ", \"type\": \"array\"}";
  EXPECT_TRUE(
      Compiled(kSchema, schema)->Matches(std::string(100, '[') + "null" + std::string(100, ']')));
  const auto any = Compiled(kSchema, "true");
  EXPECT_TRUE(any->Matches(std::string(10000, '[') + std::string(10000, ']')));
}

// Beyond its room a parser refuses, and goes on refusing: what it could not keep has no name.
TEST(GrammarAbuse, TextsThatNestWithoutEnd) {
  const auto any = Compiled(kSchema, "true");
  const std::string open(1'100'000, '[');
  for (int i = 0; i < 3; ++i) EXPECT_THROW(any->Matches(open), Error) << i;
}

std::string Times(size_t count, std::string_view text) {
  std::string all;
  all.reserve(count * text.size());
  for (size_t i = 0; i < count; ++i) all += text;
  return all;
}

void ExpectRefusedAsDeep(const std::string& gbnf) {
  const std::string refusal = Refusal(kGbnf, gbnf);
  EXPECT_TRUE(refusal.find("nest") != std::string::npos &&
              refusal.find("deep") != std::string::npos)
      << refusal;
}

TEST(GrammarAbuse, RepetitionsWithoutAnEnd) {
  ExpectRefusedAsDeep("root ::= \"a\"" + std::string(200'000, '?'));
  ExpectTexts(*Compiled(kGbnf, "root ::= \"a\"" + std::string(100, '?')), {"", "a"}, {"aa"});
}

TEST(GrammarAbuse, ChainsOfRules) {
  std::string names = "root ::= \"[\" r1 \"]\"\n", recursive = "root ::= \"[\" root \"]\" | r1\n";
  constexpr int kRules = 15'000;
  for (int i = 1; i < kRules; ++i) {
    names += Cat("r", i, " ::= \"a\" r", i + 1, "\n");
    recursive += Cat("r", i, " ::= \"[\" r", i, " \"]\" | r", i + 1, "\n");
  }
  const std::string last = Cat("r", kRules, " ::= \"x\"\n");
  ExpectRefusedAsDeep(names + last);
  ExpectRefusedAsDeep(recursive + last);
}

TEST(GrammarAbuse, GroupsInRulesThatFollowEachOther) {
  // Each rule is shallow and already compiled when the next one uses it.
  std::string rules = "r0 ::= \"x\"\n", root = "root ::= r0";
  for (int i = 1; i <= 40; ++i) {
    rules += Cat("r", i, " ::= ", Times(150, "("), "r", i - 1, Times(150, " \"a\" | \"b\")"), "\n");
    root += Cat(" | r", i);
  }
  ExpectRefusedAsDeep(rules + root + "\n");
}

TEST(GrammarAbuse, LongTextsWithTheSameBeginning) {
  const std::string same(190'000, 'a');
  const auto grammar = CompileGrammar(
      {GrammarSource::Kind::kChoices, DumpJson({same + "b", same + "c"})}, "test", nullptr);
  EXPECT_TRUE(grammar->Matches(same + "c"));
}

}  // namespace
}  // namespace retort
