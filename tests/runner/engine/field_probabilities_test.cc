// SPDX-License-Identifier: Apache-2.0
// The probabilities of an answer's choices beside those of whole values, computed one after the
// other.
#include "runner/engine/field_probabilities.h"

#include <map>
#include <nlohmann/json.hpp>
#include <numeric>

#include "grammar/compile.h"
#include "tests/eval/support.h"
#include "tests/runner/server/fixture.h"
#include "tokenizer/utf8.h"

namespace retort {
namespace {

constexpr const char* kPet =
    R"({"type": "object", "properties": {"kind": {"enum": ["cat", "cow", "dog", "crow"]},
        "age": {"enum": [1, 12, 120, 2]}, "name": {"type": "string", "maxLength": 3},
        "ok": {"type": "boolean"}}, "required": ["kind", "age", "name", "ok"],
        "additionalProperties": false})";

// What the texts behind a prompt of bytes come to if nothing else may be said: at each byte, the
// model's probabilities over those that some text goes on with.
std::vector<double> ByWholeTexts(const SmallWorld& world, const std::vector<int32_t>& prompt,
                                 const std::vector<std::vector<int32_t>>& texts) {
  std::vector<double> shares;
  for (const auto& text : texts) {
    double share = 1;
    std::vector<int32_t> ids = prompt, said;
    for (const int32_t next : text) {
      std::map<int32_t, double> allowed;
      const std::vector<double> logits = world.NextLogits(ids);
      for (const auto& other : texts) {
        if (other.size() > said.size() && std::equal(said.begin(), said.end(), other.begin()))
          allowed[other[said.size()]] = std::exp(logits[static_cast<size_t>(other[said.size()])]);
      }
      double sum = 0;
      for (const auto& [id, weight] : allowed) sum += weight;
      share *= allowed.at(next) / sum;
      ids.push_back(next), said.push_back(next);
    }
    shares.push_back(share);
  }
  return shares;
}

std::vector<int32_t> AsIds(const std::string& text) { return {text.begin(), text.end()}; }

struct FieldProbabilitiesTest : testing::Test {
  std::vector<FieldChoice> Score(const GrammarSource& source, const std::string& answer) {
    const auto words = std::make_shared<const Vocabulary>(world.tokenizer);
    const ChoiceRule rule(source, {CompileGrammar(source, "test", words)}, ByteTokenizer::kEos);
    Engine engine(*world.model, nullptr, world.tokenizer, {});
    GenerationRequest asked;
    asked.prompt = prompt;
    return ScoreFields(engine, rule, asked, AsIds(answer), world.tokenizer);
  }
  // values: as JSON. texts: as they stand in the answer, with one byte behind each.
  void Expect(const FieldChoice& field, const std::string& before,
              const std::vector<std::string>& values,
              const std::vector<std::vector<int32_t>>& texts) const {
    std::vector<int32_t> ids = prompt;
    for (const int32_t byte : AsIds(before)) ids.push_back(byte);
    const std::vector<double> wanted = ByWholeTexts(world, ids, texts);
    ASSERT_EQ(field.values.size(), values.size());
    double sum = 0, last = 1;
    for (const auto& [value, probability] : field.values) {
      const auto at = std::ranges::find(values, value) - values.begin();
      ASSERT_LT(at, std::ssize(values)) << value;
      EXPECT_NEAR(probability, wanted[static_cast<size_t>(at)], 1e-5) << value;
      EXPECT_LE(probability, last) << "the likeliest first";
      sum += last = probability;
    }
    EXPECT_NEAR(sum, 1, 1e-12);
  }

  SmallWorld world;
  std::vector<int32_t> prompt = world.tokenizer.EncodePrompt("Which pet?");
};

TEST_F(FieldProbabilitiesTest, AreThoseOfWholeValues) {
  const auto fields = Score({GrammarSource::Kind::kSchema, kPet},
                            R"({"kind":"cow","age":12,"name":"x","ok":true})");
  ASSERT_EQ(fields.size(), 3u);
  EXPECT_EQ(fields[0].pointer, "/kind");
  Expect(fields[0], R"({"kind":)", {R"("cat")", R"("cow")", R"("dog")", R"("crow")"},
         {AsIds(R"("cat",)"), AsIds(R"("cow",)"), AsIds(R"("dog",)"), AsIds(R"("crow",)")});
  Expect(fields[1], R"({"kind":"cow","age":)", {"1", "12", "120", "2"},
         {AsIds("1,"), AsIds("12,"), AsIds("120,"), AsIds("2,")});
  EXPECT_EQ(fields[2].pointer, "/ok");
  Expect(fields[2], R"({"kind":"cow","age":12,"name":"x","ok":)", {"true", "false"},
         {AsIds("true}"), AsIds("false}")});
}

TEST_F(FieldProbabilitiesTest, OfChoicesEndWithTheEndToken) {
  const auto fields = Score({GrammarSource::Kind::kChoices, R"(["fee", "feed", "late"])"}, "feed");
  ASSERT_EQ(fields.size(), 1u);
  EXPECT_EQ(fields[0].pointer, "");
  const auto ended = [](const std::string& text) {
    std::vector<int32_t> ids = AsIds(text);
    ids.push_back(ByteTokenizer::kEos);
    return ids;
  };
  Expect(fields[0], "", {R"("fee")", R"("feed")", R"("late")"},
         {ended("fee"), ended("feed"), ended("late")});
}

TEST_F(FieldProbabilitiesTest, ATemperatureSharpensOrFlattens) {
  GrammarSource source{GrammarSource::Kind::kChoices, R"(["a", "b"])"};
  const auto plain = Score(source, "a")[0].values;
  source.temperature = 2;
  const auto flat = Score(source, "a")[0].values;
  EXPECT_NEAR(std::log(flat[0].second / flat[1].second),
              std::log(plain[0].second / plain[1].second) / 2, 1e-9);
}

TEST_F(FieldProbabilitiesTest, NoneOfAnAnswerThatIsNotWhole) {
  EXPECT_TRUE(Score({GrammarSource::Kind::kSchema, kPet}, R"({"kind":"cow","age")").empty());
}

// A tokenizer of longer tokens, among them some that reach over a value's borders.
class PairTokenizer : public ByteTokenizer {
 public:
  PairTokenizer() {
    for (const char* text : {"\":\"", "ca", "\",", "\"c"}) mutable_spec().pieces.push_back({text});
  }
  std::string Bytes(int32_t id, bool special) const override {
    return id < first_ ? ByteTokenizer::Bytes(id, special)
                       : spec().pieces.at(static_cast<size_t>(id)).text;
  }

 private:
  int32_t first_ = ByteTokenizer().vocab_size();
};

TEST(AnswerChoices, BeginWithTheTokenThatTheValueBeginsWithin) {
  const PairTokenizer tokenizer;
  const GrammarSource source{GrammarSource::Kind::kSchema, kPet};
  const auto words = std::make_shared<const Vocabulary>(tokenizer);
  const ChoiceRule rule(source, {CompileGrammar(source, "test", words)}, ByteTokenizer::kEos);
  const int32_t first = ByteTokenizer().vocab_size();
  std::vector<int32_t> ids = AsIds(R"({"kind)");
  ids.push_back(first);  // '":"'
  for (const int32_t byte : AsIds(R"(cow","age":1,"name":"","ok":true})")) ids.push_back(byte);
  const auto choices = ChoicesOf(rule, ids, tokenizer);
  ASSERT_EQ(choices.size(), 3u);
  EXPECT_EQ(choices[0].before, 6u);
  EXPECT_EQ(choices[0].values[0], AsIds(R"(":"cat",)")) << "as the tokenizer writes it";
}

// A tokenizer that, as SentencePiece does, makes something else of half a character.
class WholeCharacters : public ByteTokenizer {
 public:
  using ByteTokenizer::Encode;
  std::vector<int32_t> Encode(const std::vector<Segment>& segments,
                              bool continuation) const override {
    std::vector<Segment> whole = segments;
    for (auto& [text, markup] : whole) {
      for (size_t at = 0; (at = ValidUtf8End(text, at)) < text.size(); ++at) text[at] = '?';
    }
    return ByteTokenizer::Encode(whole, continuation);
  }
};

TEST(AnswerChoices, StandBetweenTextsOfAnyCharacters) {
  const WholeCharacters tokenizer;
  const GrammarSource source{GrammarSource::Kind::kSchema, R"({"type": "object", "properties": {
      "name": {"type": "string"}, "kind": {"enum": ["cat", "cow"]}, "also": {"type": "string"}},
      "required": ["name", "kind", "also"], "additionalProperties": false})"};
  const auto words = std::make_shared<const Vocabulary>(tokenizer);
  const ChoiceRule rule(source, {CompileGrammar(source, "test", words)}, ByteTokenizer::kEos);
  for (const std::string text : {"\u0436", "\u3042", "\U0001F600"}) {
    std::string name;
    for (int i = 0; i < 40; ++i) name += text;
    for (const std::string shift : {"", "a", "aa", "aaa"}) {
      const std::string said = shift + name;
      const auto ids = tokenizer.Encode(
          Cat(R"({"name":")", said, R"(","kind":"cow","also":")", said, "\"}"), true);
      EXPECT_EQ(ChoicesOf(rule, ids, tokenizer).size(), 1u) << said;
    }
  }
}

TEST_F(ServerTest, TellsTheProbabilitiesOfAnAnswersChoices) {
  options_.engine.parallel = 2;
  options_.queue = 2;
  Start();
  const std::string body = Cat(
      R"({"prompt": "go", "max_tokens": 200, "field_probabilities": true, "guided_json": )", kPet);
  const Json answer = AskJson(Post(kComplete, body + "}"));
  const Json said = Json::parse(answer["choices"][0]["text"].get<std::string>());
  const Json& fields = answer["field_probabilities"];
  ASSERT_EQ(fields.size(), 3u) << answer;
  for (const auto& [pointer, values] : fields.items()) {
    double sum = 0;
    for (const Json& value : values) sum += value["probability"].get<double>();
    EXPECT_NEAR(sum, 1, 1e-9);
    EXPECT_TRUE(std::ranges::any_of(values, [&, at = Json::json_pointer(pointer)](const Json& v) {
      return v["value"] == said[at];
    }));
  }
  // In a stream they come with the last timings.
  const RawAnswer raw = Ask(Post(kComplete, body + R"(, "stream": true})"));
  Json told;
  for (const Json& event : Events(raw.body))
    if (event.contains("field_probabilities")) told = event["field_probabilities"];
  EXPECT_EQ(told, fields);
  EXPECT_TRUE(EventuallyIdle());
}

TEST_F(ServerTest, FieldProbabilitiesNeedAGrammarAndASingleWholeAnswer) {
  Start();
  const auto param = [&](const std::string& more) {
    return Refused(400, kComplete,
                   Cat(R"({"prompt": "go", "field_probabilities": true)", more, "}"))["param"];
  };
  EXPECT_EQ(param(""), "field_probabilities");
  EXPECT_EQ(param(R"(, "guided_choice": ["a", "b"], "n": 2)"), "field_probabilities");
  const Json cut = AskJson(Post(kComplete, R"({"prompt": "go", "field_probabilities": true,
                                               "guided_choice": ["aa", "bb"], "max_tokens": 1})"));
  EXPECT_TRUE(cut["field_probabilities"].is_null() || cut["choices"][0]["finish_reason"] == "stop")
      << cut;
}

}  // namespace
}  // namespace retort
