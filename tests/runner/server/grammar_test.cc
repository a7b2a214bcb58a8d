// SPDX-License-Identifier: Apache-2.0
// Answers of a random model, which says anything, held to grammars through the whole server.
#include <nlohmann/json.hpp>

#include "grammar/compile.h"
#include "tests/runner/server/fixture.h"

namespace retort {
namespace {

constexpr const char* kSchemaText =
    R"({"type": "object", "properties": {"name": {"type": "string", "maxLength": 5},
        "age": {"type": "integer", "minimum": 18, "maximum": 99}, "kind": {"enum": ["cat", "dog"]}},
        "required": ["name", "age", "kind"], "additionalProperties": false})";

class ServerGrammarTest : public ServerTest {
 protected:
  // A chat's answer with these fields, at a temperature at which a random model says anything.
  Json Choice(const std::string& fields, int seed = 1, int most = 300) {
    const Json answer = AskJson(
        Post(kChat, Cat(R"({"messages": [{"role": "user", "content": "hi"}], "temperature": 1.5, )",
                        "\"max_tokens\": ", most, ", \"seed\": ", seed, ", ", fields, "}")));
    usage_ = answer["usage"];
    return answer["choices"][0];
  }
  std::string Content(const std::string& fields, int seed = 1) {
    const Json choice = Choice(fields, seed);
    EXPECT_EQ(choice["finish_reason"], "stop") << choice;
    return choice["message"]["content"].get<std::string>();
  }
  Json RefusedFields(const std::string& fields) {
    return Refused(400, kChat,
                   Cat(R"({"messages": [{"role": "user", "content": "hi"}], )", fields, "}"));
  }

  Json usage_;
};

TEST_F(ServerGrammarTest, EveryAnswerSatisfiesItsSchema) {
  Start();
  const auto grammar = CompileGrammar({GrammarSource::Kind::kSchema, kSchemaText}, "test", nullptr);
  const std::string format = Cat(
      R"("response_format": {"type": "json_schema", "json_schema": {"name": "pet", "strict": true, "schema": )",
      kSchemaText, "}}");
  for (int seed = 1; seed <= 20; ++seed) {
    const std::string content = Content(format, seed);
    EXPECT_TRUE(grammar->Matches(content)) << content;
  }
}

TEST_F(ServerGrammarTest, ABiasAgainstAllThatIsAllowedIsTheRequestsFault) {
  Start();
  const int32_t x = tokenizer_.Encode("x", true).back();
  const std::string grammar = R"("guided_grammar": "root ::= \"x\" \"y\"")";
  const Json error = RefusedFields(Cat(grammar, ", \"logit_bias\": [[", x, ", false]]"));
  EXPECT_NE(error["message"].get<std::string>().find("logit_bias"), std::string::npos);
  EXPECT_EQ(RefusedFields(grammar + R"(, "ignore_eos": true)")["param"], "ignore_eos");
  // A token with a text is that text, though the answer stops at it.
  const Json stopped = Choice(Cat(grammar, ", \"stop_token_ids\": [", x, "]"));
  EXPECT_EQ(stopped["finish_reason"], "stop");
  EXPECT_EQ(stopped["message"]["content"], "");
}

TEST_F(ServerGrammarTest, AllNamesOfTheFieldsWork) {
  Start();
  const std::string schema = R"({"const": {"a": 1}})";
  EXPECT_EQ(Content(Cat("\"guided_json\": ", schema)), R"({"a":1})");
  EXPECT_EQ(Content(Cat("\"structured_outputs\": {\"json\": ", schema, "}")), R"({"a":1})");
  EXPECT_EQ(Content(R"("guided_regex": "ab{3}")"), "abbb");
  EXPECT_EQ(Content(R"("structured_outputs": {"choice": ["yes"]})"), "yes");
  EXPECT_EQ(Content(R"("guided_grammar": "root ::= \"x\" \"y\"")"), "xy");
  EXPECT_EQ(Content(R"("grammar": "root ::= \"x\" \"y\"")"), "xy");
  const std::string choice = Content(R"("guided_choice": ["yes", "no"])");
  EXPECT_TRUE(choice == "yes" || choice == "no") << choice;
  const Json object = Choice(R"("response_format": {"type": "json_object"})");
  EXPECT_EQ(object["message"]["content"].get<std::string>().substr(0, 1), "{");
  Choice(R"("response_format": {"type": "text"})");
}

TEST_F(ServerGrammarTest, CompletionsToo) {
  Start();
  const Json answer = AskJson(Post(kComplete, R"({"prompt": "go", "guided_regex": "[0-9]{4}"})"));
  EXPECT_EQ(answer["choices"][0]["text"].get<std::string>().size(), 4u);
  EXPECT_EQ(answer["choices"][0]["finish_reason"], "stop");
}

TEST_F(ServerGrammarTest, ForcedTokensCountAndLimitsHold) {
  Start();
  EXPECT_EQ(Content(R"("guided_regex": "abcdefgh")"), "abcdefgh");
  EXPECT_EQ(usage_["completion_tokens"], 8);
  const Json cut = Choice(R"("guided_regex": "abcdefgh")", 1, 5);
  EXPECT_EQ(cut["message"]["content"], "abcde");
  EXPECT_EQ(cut["finish_reason"], "length");
}

TEST_F(ServerGrammarTest, ManyStreamsAtOnce) {
  options_.engine.parallel = 3;
  Start();
  const auto grammar = CompileGrammar({GrammarSource::Kind::kSchema, kSchemaText}, "test", nullptr);
  std::vector<std::thread> clients;
  std::vector<std::string> contents(6);
  for (size_t i = 0; i < contents.size(); ++i) {
    clients.emplace_back([&, i] {
      const Json answer = AskJson(
          Post(kComplete, Cat(R"({"prompt": "go", "temperature": 1.5, "max_tokens": 300, "seed": )",
                              i, ", \"guided_json\": ", kSchemaText, "}")));
      contents[i] = answer["choices"][0]["text"].get<std::string>();
    });
  }
  for (std::thread& client : clients) client.join();
  for (const std::string& content : contents) EXPECT_TRUE(grammar->Matches(content)) << content;
}

TEST_F(ServerGrammarTest, TheServersOwnGrammarHoldsWhereARequestSaysNothing) {
  options_.rule.grammar = GrammarSource{GrammarSource::Kind::kChoices, R"(["yes", "no"])"};
  Start();
  const std::string content = Content(R"("stop": [])");
  EXPECT_TRUE(content == "yes" || content == "no") << content;
  EXPECT_EQ(Content(R"("guided_regex": "other")"), "other");
  // A random model's text is no "yes" or "no", and longer.
  EXPECT_EQ(Choice(R"("response_format": {"type": "text"})", 1, 20)["finish_reason"], "length");
}

TEST_F(ServerGrammarTest, WhatCannotBeKeptIsRefusedByName) {
  Start();
  const auto message = [](const Json& error) { return error["message"].get<std::string>(); };
  const Json unsupported =
      RefusedFields(R"("guided_json": {"properties": {"a": {"uniqueItems": true}}})");
  EXPECT_NE(message(unsupported).find("#/properties/a: 'uniqueItems'"), std::string::npos)
      << unsupported;
  EXPECT_EQ(unsupported["param"], "guided_json");
  EXPECT_NE(message(RefusedFields(R"("guided_regex": "(?=a)b", "grammar": "root ::= \"x\"")"))
                .find("cannot go with"),
            std::string::npos);
  EXPECT_NE(message(RefusedFields(R"("guided_regex": "(?=a)b")")).find("lookahead"),
            std::string::npos);
  RefusedFields(R"("response_format": {"type": "xml"})");
  RefusedFields(R"("response_format": {"type": "json_schema"})");
  RefusedFields(R"("structured_outputs": {})");
  RefusedFields(R"("structured_outputs": {"whitespace_pattern": " "})");
  RefusedFields(R"("guided_choice": "yes")");
  RefusedFields(R"("guided_choice": [""])");
}

}  // namespace
}  // namespace retort
