// SPDX-License-Identifier: Apache-2.0
// Sixteen clients whose answers are held to a hundred schemas, at a temperature at which a random
// model says anything. RETORT_ANSWERS asks for more answers than the usual ones, RETORT_SCHEMAS for
// more of the schemas that one client sends once each.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/machine.h"
#include "base/strings.h"
#include "base/text.h"
#include "grammar/compile.h"
#include "tests/runner/answer/answer_templates.h"
#include "tests/runner/server/fixture.h"

namespace retort {
namespace {

constexpr size_t kClients = 16, kSchemas = 100;

size_t Asked(const char* variable, size_t usual) {
  const char* asked = std::getenv(variable);
  return asked ? std::strtoul(asked, nullptr, 10) : usual;
}
size_t Answers() { return Asked("RETORT_ANSWERS", 300); }

// A schema of one of ten kinds, each with sizes of its own.
std::string SchemaOf(size_t index) {
  const size_t n = 1 + index / 10;
  const Json text = {{"type", "string"}, {"maxLength", n}};
  const Json number = {{"type", "integer"}, {"minimum", -static_cast<int>(n)}, {"maximum", 7 * n}};
  Json list = Json::array();
  for (size_t i = 0; i <= n; ++i) list.push_back(Cat("v", i));
  Json members = {{"a", text}, {"b", number}};
  for (size_t i = 0; i < n; ++i) members[Cat("m", i)] = i % 2 == 0 ? Json{{"enum", list}} : number;
  const Json object = {{"type", "object"},
                       {"properties", members},
                       {"required", {"a", "m0"}},
                       {"additionalProperties", false}};
  const Json kinds[] = {
      object,
      {{"type", "array"}, {"items", number}, {"minItems", 1}, {"maxItems", n + 1}},
      {{"enum", list}},
      {{"type", "string"}, {"pattern", Cat("^[a-c]{", n, "}-[0-9]{2}$")}},
      {{"anyOf", {text, number, object}}},
      {{"oneOf", {{{"const", n}}, {{"type", "boolean"}}, {{"type", "null"}}}}},
      {{"type", "string"}, {"format", n % 2 == 0 ? "date" : "ipv4"}},
      {{"type", "array"}, {"prefixItems", {text, number}}, {"items", false}, {"minItems", 2}},
      {{"type", "number"}, {"minimum", 0}, {"maximum", n}, {"multipleOf", 0.1}},
      {{"$ref", "#/$defs/node"},
       {"$defs",
        {{"node",
          {{"type", "object"},
           {"properties", {{"v", number}, {"next", {{"anyOf", {{{"type", "null"}}, text}}}}}},
           {"required", {"v", "next"}},
           {"additionalProperties", false}}}}}}};
  return DumpJson(kinds[index % 10]);
}

class ManyGrammars : public ServerTest {
 protected:
  void AskFor(size_t index) {
    const size_t which = index % kSchemas;
    const Json format = {
        {"type", "json_schema"},
        {"json_schema", {{"name", "n"}, {"schema", ParseJson(SchemaOf(which), "schema")}}}};
    const auto begun = std::chrono::steady_clock::now();
    const RawAnswer raw = Ask(Post(
        kChat, DumpJson(Json{{"messages", {{{"role", "user"}, {"content", Cat("hi ", index)}}}},
                             {"temperature", 1.5},
                             {"seed", index},
                             {"max_tokens", 200},
                             {"response_format", format}})));
    ASSERT_EQ(raw.status, 200) << raw.body;
    const Json choice = ParseJson(raw.body, "answer")["choices"][0];
    const std::string content = choice["message"]["content"];
    if (choice["finish_reason"] == "length") {
      ++cut_;
      return;
    }
    ++whole_;
    EXPECT_EQ(choice["finish_reason"], "stop");
    EXPECT_TRUE(schemas_[which]->Matches(content)) << SchemaOf(which) << "\n" << content;
    EXPECT_NO_THROW(ParseJson(content, "content")) << content;
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begun;
    const std::lock_guard lock(mutex_);
    milliseconds_.push_back(took.count());
  }

  void CompileSchemas() {
    for (size_t i = 0; i < kSchemas; ++i)
      schemas_.push_back(
          CompileGrammar({GrammarSource::Kind::kSchema, SchemaOf(i)}, "schema", nullptr));
  }

  double Percentile(size_t percent) {
    std::ranges::sort(milliseconds_);
    return milliseconds_.at(milliseconds_.size() * percent / 100);
  }

  std::vector<std::shared_ptr<const Grammar>> schemas_;
  std::atomic<size_t> next_ = 0, whole_ = 0, cut_ = 0;
  std::mutex mutex_;
  std::vector<double> milliseconds_;
};

TEST_F(ManyGrammars, EveryAnswerIsValidUnlessItIsCut) {
  options_.engine.parallel = 16;
  options_.engine.cache_tokens = 16 * 1024;
  Start();
  CompileSchemas();
  const size_t answers = Answers();
  std::vector<std::thread> clients;
  clients.reserve(kClients);
  for (size_t i = 0; i < kClients; ++i) {
    clients.emplace_back([&] {
      for (size_t index = next_++; index < answers; index = next_++) AskFor(index);
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(whole_ + cut_, answers);
  EXPECT_GT(whole_, answers * 9 / 10);
  std::cout << answers << " answers to " << kSchemas << " schemas: " << whole_ << " whole, " << cut_
            << " cut by max_tokens; ms each: p50 " << Percentile(50) << ", p95 " << Percentile(95)
            << "\n";
}

// A schema that no other number has.
Json DistinctSchema(size_t number) {
  Json values = Json::array();
  for (size_t i = 0; i < 50; ++i) values.push_back(Cat("value ", number, " ", i));
  return {{"type", "object"},
          {"properties",
           {{Cat("a", number), {{"enum", values}}},
            {"b", {{"type", "string"}, {"pattern", Cat("^[a-z]{1,", 1 + number % 90, "}$")}}}}},
          {"required", {Cat("a", number), "b"}}};
}

// A client that never sends a schema twice, while others ask for usual answers.
TEST_F(ManyGrammars, DistinctSchemasLeaveMemoryAndOthersAlone) {
  Start();
  CompileSchemas();
  const size_t schemas = Asked("RETORT_SCHEMAS", 400);
  while (next_ < kSchemas) AskFor(next_++);
  const double alone = Percentile(95);
  milliseconds_.clear();
  std::atomic<bool> sent = false;
  std::thread usual([&] {
    while (!sent || next_ < kSchemas + 10) AskFor(next_++);
  });
  int64_t settled = 0;
  for (size_t i = 0; i < schemas; ++i) {
    const RawAnswer answer = Ask(Post(
        kComplete,
        DumpJson(Json{{"prompt", "go"}, {"max_tokens", 3}, {"guided_json", DistinctSchema(i)}})));
    ASSERT_EQ(answer.status, 200) << answer.body;
    if (i == schemas / 2) settled = ResidentMemory();
  }
  const int64_t end = ResidentMemory();
  sent = true;
  usual.join();
  EXPECT_EQ(whole_ + cut_, next_);
  std::cout << schemas << " schemas: " << (settled >> 20) << " MiB resident in the middle, "
            << (end >> 20) << " MiB at the end; " << milliseconds_.size()
            << " other answers, ms each: p50 " << Percentile(50) << ", p95 " << Percentile(95)
            << " (alone " << alone << ")\n";
  EXPECT_LT(end, settled + (int64_t{64} << 20)) << "kept grammars are bounded";
}

Json Numbers(int count) {
  Json all = Json::array();
  for (int i = 0; i < count; ++i) all.push_back(i);
  return all;
}

// Texts, of which any set may be written.
Json SetOf(int count, size_t bytes) {
  Json texts = Json::array();
  for (int i = 0; i < count; ++i) texts.push_back(Cat(i, std::string(bytes, 'k')));
  return {{"type", "array"}, {"uniqueItems", true}, {"items", {{"enum", texts}}}};
}

// Each asks what the ones below it evaluate.
Json Nested(int depth) {
  Json schema = true;
  for (int i = 0; i < depth; ++i) {
    schema = {{"properties", {{Cat("m", i), true}}},
              {"unevaluatedProperties", {{"type", "null"}}},
              {"dependentSchemas", {{"a", true}}},
              {"allOf", Json::array({schema})}};
  }
  return schema;
}

struct Abuse {
  Json schema;
  int status;
};

std::vector<Abuse> Abuses() {
  Json branches = Json::array();
  for (int i = 0; i < 1000; ++i) branches.push_back({{"const", i}});
  const Json circle = {{"a", {{"$ref", "#/$defs/b"}}}, {"b", {{"$ref", "#/$defs/a"}}}};
  return {{{{"type", "string"}, {"pattern", "^(a+)+b$"}}, 200},
          {{{"type", "string"}, {"pattern", "^a{0,100000}$"}}, 200},
          {{{"type", "array"}, {"items", {{"type", "null"}}}, {"maxItems", 100000}}, 200},
          {{{"$ref", "#"}}, 400},
          {{{"$ref", "#/$defs/a"}, {"$defs", circle}}, 400},
          {{{"oneOf", branches}}, 200},
          {{{"const", Numbers(190'000)}, {"uniqueItems", true}}, 400},
          {SetOf(12, 5'000), 200},
          {SetOf(30, 1), 400},
          {{{"$dynamicRef", "#n"}, {"$dynamicAnchor", "n"}}, 400},
          {Nested(120), 400}};
}

// Tools each of which takes much of what one request may.
Json HeavyTools() {
  Json tools = Json::array();
  for (int i = 0; i < 20; ++i) {
    const Json parameters = {{"type", "object"}, {"properties", {{"x", SetOf(12, 1)}}}};
    tools.push_back(
        {{"type", "function"},
         {"function", {{"name", Cat("f", i)}, {"strict", true}, {"parameters", parameters}}}});
  }
  return tools;
}

// What a client may send to keep others waiting, while another one asks for usual answers.
TEST_F(ManyGrammars, AbusiveSchemasAreAnsweredOrRefused) {
  model_->config.max_positions = 1024;
  ServedModel served{*model_, nullptr, tokenizer_, "tiny", AnswerTemplate("qwen3"), ""};
  server_.emplace(std::move(served), options_);
  thread_ = std::thread([this] { ended_in_order_ = server_->Run(); });
  CompileSchemas();
  std::atomic<bool> abused = false;
  std::thread usual([&] {
    while (!abused || next_ < 10) AskFor(next_++);
  });
  const auto ask = [&](const char* key, const Json& value) {
    return Ask(Post(kChat, DumpJson(Json{{"messages", {{{"role", "user"}, {"content", "hi"}}}},
                                         {"max_tokens", 40},
                                         {key, value}})));
  };
  for (const auto& [schema, status] : Abuses()) {
    const RawAnswer answer = ask("guided_json", schema);
    EXPECT_EQ(answer.status, status) << Shortened(answer.body) << Shortened(DumpJson(schema));
  }
  EXPECT_EQ(ask("tools", HeavyTools()).status, 400);  // a prompt that is too long has them, too
  abused = true;
  usual.join();
  EXPECT_EQ(whole_ + cut_, next_);
  EXPECT_GE(whole_, 1u);
}

}  // namespace
}  // namespace retort
