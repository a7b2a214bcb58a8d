// SPDX-License-Identifier: Apache-2.0
// Adapters beside the served model: chosen by the name of the model, loaded and unloaded while the
// server runs.
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "tests/formats/support.h"
#include "tests/runner/server/fixture.h"

namespace retort {
namespace {

constexpr const char* kLoad = "/v1/load_lora_adapter";
constexpr const char* kUnload = "/v1/unload_lora_adapter";
constexpr const char* kProgram = "/v1/programs";

// A folder's name is the seed of its adapter.
class ServerAdapters : public ServerTest {
 protected:
  ServerAdapters() {
    for (const char* name : {"11", "12", "13"})
      std::filesystem::create_directories(folder_ / "root" / name);
    std::filesystem::create_directories(folder_ / "outside");
    std::filesystem::create_directory_symlink(folder_ / "outside", folder_ / "root" / "link");
    options_.adapters.open = [this](const Path& folder) { return Open(folder); };
    options_.adapters.loaded = {{"one", "11"}, {"two", "12"}};
  }

  AdapterOffer Open(const Path& folder) {
    const int seed = std::atoi(folder.filename().c_str());
    if (seed == 0) throw InputError(folder.string(), ": is no adapter");
    AdapterOffer offer = {ChatTemplate::Named("chatml"), "", rule_, {}};
    offer.load = [this, seed] { return Made(*model_, seed); };
    return offer;
  }
  static std::unique_ptr<Adapter> Made(const Model& model, int seed) {
    AdapterConfig config;
    config.rank = 4, config.alpha = 32;
    return RandomAdapter(config, model, static_cast<uint64_t>(seed));
  }
  // An engine whose own the adapter is; 0: none.
  void Alone(int seed, const std::function<void(Engine& engine)>& use) {
    const auto backend = MakeReferenceBackend();
    const auto model = RandomModel(model_->config, kSeed, *backend, kSize);
    const auto adapter = seed == 0 ? nullptr : Made(*model, seed);
    Engine engine(*model, adapter.get(), tokenizer_, options_.engine);
    use(engine);
  }
  // What it says behind "Once".
  std::string TextAlone(int seed) {
    std::string text;
    Alone(seed, [&](Engine& engine) {
      SamplingOptions sampling;
      sampling.max_tokens = 20;
      text = Generate(engine, tokenizer_.EncodePrompt("Once"), sampling).text;
    });
    return text;
  }
  // The log-probabilities that it gives to these bytes there.
  std::vector<double> LogprobsAlone(int seed, std::string_view bytes) {
    std::vector<double> logprobs;
    Alone(seed, [&](Engine& engine) {
      GenerationRequest request;
      request.prompt = tokenizer_.EncodePrompt("Once");
      request.sampling.max_tokens = 0;
      for (const char byte : bytes)
        request.scores.push_back({std::ssize(request.prompt) - 1, static_cast<int32_t>(byte)});
      request.on_event = [&](const GenerationEvent& event) {
        logprobs = event.scores;
        return true;
      };
      engine.Submit(std::move(request));
      while (engine.Step()) {
      }
    });
    return logprobs;
  }
  static std::string Ask20(const std::string& model) {
    return Post(kComplete, Cat(R"({"prompt": "Once", "max_tokens": 20, "model": ")", model, "\"}"));
  }
  // The answer's text, as JSON tells it.
  Json TextOf(const std::string& model) {
    const Json answer = Answered(Ask20(model));
    EXPECT_EQ(answer["model"], model) << answer;
    return answer["choices"][0]["text"];
  }
  Json Answered(const std::string& request) {
    const RawAnswer answer = Ask(request);
    EXPECT_EQ(answer.status, 200) << answer.body;
    return ParseJson(answer.body, "answer");
  }
  static Json Told(const std::string& text) { return ParseJson(DumpJson(text), "text"); }
  std::vector<std::string> Names() {
    std::vector<std::string> names;
    const Json models = Answered(Get("/v1/models"))["data"];
    for (const Json& model : models) names.push_back(model["id"].get<std::string>());
    return names;
  }
  RawAnswer Load(const std::string& name, const std::string& path) {
    return Ask(Post(kLoad, DumpJson({{"lora_name", name}, {"lora_path", path}})));
  }
  RawAnswer Unload(const std::string& name) {
    return Ask(Post(kUnload, DumpJson({{"lora_name", name}})));
  }

  TemporaryFolder folder_;
  AnswerRule rule_;
};

TEST_F(ServerAdapters, ARequestNamesTheOneThatAnswers) {
  Start();
  EXPECT_EQ(Names(), (std::vector<std::string>{"tiny", "one", "two"}));
  const Json one = Answered(Get("/v1/models/one"));
  EXPECT_EQ(one["id"], "one");
  EXPECT_EQ(one["parent"], "tiny");
  EXPECT_FALSE(Answered(Get("/v1/models/tiny")).contains("parent"));
  EXPECT_EQ(Ask(Get("/v1/models/three")).status, 404);

  EXPECT_EQ(TextOf("tiny"), Told(TextAlone(0)));
  EXPECT_EQ(TextOf("one"), Told(TextAlone(11)));
  EXPECT_EQ(TextOf("two"), Told(TextAlone(12)));
  EXPECT_NE(TextAlone(11), TextAlone(12));
  const Json error = Refused(404, Ask(Ask20("three")));
  EXPECT_EQ(error["code"], "model_not_found");
  EXPECT_NE(error["message"].get<std::string>().find("'tiny', 'one', 'two'"), std::string::npos);
  // Each has a fingerprint of its own.
  EXPECT_NE(Answered(Ask20("one"))["system_fingerprint"],
            Answered(Ask20("two"))["system_fingerprint"]);
}

TEST_F(ServerAdapters, EveryApiNamesThem) {
  Start();
  const std::string chat =
      R"("messages": [{"role": "user", "content": "Hello"}], "max_tokens": 9, "model": "one")";
  const Json expected = Answered(Post(kChat, Cat("{", chat, "}")));
  EXPECT_EQ(expected["model"], "one");
  const Json message = Answered(Post("/v1/messages", Cat("{", chat, "}")));
  EXPECT_EQ(message["model"], "one");
  const Json content = expected["choices"][0]["message"]["content"];
  ASSERT_FALSE(content.get<std::string>().empty());
  EXPECT_EQ(message["content"][0]["text"], content);
  const Json ollama = Answered(Post("/api/chat", R"({"model": "one:latest", "stream": false,
      "messages": [{"role": "user", "content": "Hello"}], "options": {"num_predict": 9}})"));
  EXPECT_EQ(ollama["model"], "one");
  EXPECT_EQ(ollama["message"]["content"], content);
  const Json tags = Answered(Get("/api/tags"))["models"];
  ASSERT_EQ(tags.size(), 3u);
  EXPECT_EQ(tags[1]["name"], "one");
  EXPECT_EQ(tags[1]["details"]["parent_model"], "tiny");
  EXPECT_EQ(Answered(Post("/api/show", R"({"model": "two"})"))["details"]["parent_model"], "tiny");
  const auto embedding = [&](const std::string& model) {
    return Answered(Post("/v1/embeddings", Cat(R"({"input": "Hi", "model": ")", model, "\"}")));
  };
  EXPECT_EQ(embedding("two")["model"], "two");
  EXPECT_NE(embedding("two")["data"], embedding("one")["data"]);
  EXPECT_EQ(Ask(Post("/tokenize", R"({"prompt": "Hi", "model": "one"})")).status, 200);
  EXPECT_EQ(Ask(Post("/tokenize", R"({"prompt": "Hi", "model": "none"})")).status, 404);
}

TEST_F(ServerAdapters, EachHasItsTemplateAndSchema) {
  rule_ = {GrammarSource{GrammarSource::Kind::kChoices, R"(["yes", "no"])"}, "its own"};
  Start(false);
  const std::string chat = R"({"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9)";
  EXPECT_EQ(Refused(400, kChat, chat + "}")["message"], "no template here");
  const Json answer = Answered(Post(kChat, chat + R"(, "model": "one"})"));
  const std::string said = answer["choices"][0]["message"]["content"].get<std::string>();
  EXPECT_TRUE(said == "yes" || said == "no") << answer;
  EXPECT_EQ(TextOf("tiny"), Told(TextAlone(0)));
}

// What is said and what is chosen: the engine is asked differently for the two.
TEST_F(ServerAdapters, AProgramNamesTheOneThatAnswersInAllSteps) {
  Start();
  const std::string program = R"({"prompt": "Once", "steps": [{"branch": "both", "branches": [
      [{"generate": "said", "max_tokens": 20}], [{"select": "chosen", "choices": ["a", "b"]}]]}])";
  const std::pair<const char*, int> served[] = {{"tiny", 0}, {"one", 11}, {"two", 12}};
  for (const auto& [name, seed] : served) {
    const Json answer = Answered(Post(kProgram, Cat(program, R"(, "model": ")", name, "\"}")));
    EXPECT_EQ(answer["model"], name);
    EXPECT_EQ(answer["system_fingerprint"], Answered(Ask20(name))["system_fingerprint"]);
    const Json& branches = answer["steps"][0]["branches"];
    EXPECT_EQ(branches[0]["steps"][0]["text"], Told(TextAlone(seed))) << name;
    std::vector<double> logprobs;
    for (const Json& choice : branches[1]["steps"][0]["choices"])
      logprobs.push_back(choice["logprob"].get<double>());
    EXPECT_EQ(logprobs, LogprobsAlone(seed, "ab")) << name;
  }
  EXPECT_NE(LogprobsAlone(11, "ab"), LogprobsAlone(12, "ab"));
  EXPECT_EQ(Refused(404, kProgram, program + R"(, "model": "three"})")["code"], "model_not_found");
  EXPECT_NE(Ask(Get("/metrics")).body.find("retort_model_requests_total{model=\"two\"} 2\n"),
            std::string::npos);
}

TEST_F(ServerAdapters, AProgramHasTheTemplateAndSchemaOfItsOwn) {
  rule_ = {GrammarSource{GrammarSource::Kind::kChoices, R"(["yes", "no"])"}, "its own"};
  Start(false);
  const std::string program =
      R"({"messages": [{"role": "user", "content": "Hi"}], "steps": [{"generate": "said"}])";
  EXPECT_EQ(Refused(400, kProgram, program + "}")["message"], "no template here");
  const Json answer = Answered(Post(kProgram, program + R"(, "model": "one"})"));
  const std::string said = answer["variables"]["said"].get<std::string>();
  EXPECT_TRUE(said == "yes" || said == "no") << answer;
}

TEST_F(ServerAdapters, AreLoadedAndUnloadedBelowTheRootAlone) {
  options_.adapters.root = folder_ / "root";
  Start();
  const RawAnswer loaded = Load("team/three-1.0", "13");
  ASSERT_EQ(loaded.status, 200) << loaded.body;
  EXPECT_EQ(ParseJson(loaded.body, "body")["parent"], "tiny");
  EXPECT_EQ(Names().back(), "team/three-1.0");
  EXPECT_EQ(Answered(Get("/v1/models/team/three-1.0"))["id"], "team/three-1.0");
  EXPECT_EQ(TextOf("team/three-1.0"), Told(TextAlone(13)));

  Refused(400, Load("one", "13"));   // taken
  Refused(400, Load("tiny", "13"));  // the model's
  Refused(400, Load("a b", "13"));   // no name
  Refused(400, Load("", "13"));
  for (const char* path : {"../outside", "link", "", ".", "/", "none", "../root/../outside"})
    EXPECT_EQ(Refused(400, Load("new", path))["param"], "lora_path") << path;
  std::filesystem::create_directories(folder_ / "root" / "empty");
  EXPECT_NE(Refused(400, Load("new", "empty"))["message"].get<std::string>().find("no adapter"),
            std::string::npos);
  Refused(400, kLoad, R"({"lora_name": "new", "lora_path": "13", "rank": 4})");
  Refused(400, kLoad, R"({"lora_name": 4, "lora_path": "13"})");
  ASSERT_EQ(Load("new", (folder_ / "root" / "13").string()).status, 200);  // whole, but below it

  Refused(404, Unload("none"));
  Refused(404, Unload("tiny"));  // it is no adapter
  EXPECT_EQ(ParseJson(Unload("new").body, "body")["deleted"], true);
  EXPECT_EQ(Unload("team/three-1.0").status, 200);
  Refused(404, Ask(Ask20("team/three-1.0")));
  EXPECT_EQ(Names(), (std::vector<std::string>{"tiny", "one", "two"}));
  EXPECT_EQ(TextOf("one"), Told(TextAlone(11)));
  // Another one under the same name.
  ASSERT_EQ(Load("new", "12").status, 200);
  EXPECT_EQ(TextOf("new"), Told(TextAlone(12)));
}

TEST_F(ServerAdapters, AreNotLoadedForClientsUnlessAllowed) {
  Start();
  EXPECT_NE(Refused(403, Load("new", "13"))["message"].get<std::string>().find("--adapter-root"),
            std::string::npos);
  Refused(403, Unload("one"));
  EXPECT_EQ(Ask(Get(kLoad)).status, 405);
}

// One that is unloaded answers those that have begun, and leaves when they have ended.
TEST_F(ServerAdapters, UnloadingUnderLoadEndsNoAnswer) {
  MakeEndless();
  options_.adapters.root = folder_ / "root";
  options_.engine.context = 1000;
  options_.engine.cache_tokens = 2048;
  const int64_t before = backend_->memory().live_bytes();
  Start();
  for (int round = 0; round < 2; ++round) {
    ASSERT_EQ(Load("new", "13").status, 200);
    const std::string ask =
        Post(kComplete, R"({"prompt": "go", "max_tokens": 900, "stream": true, "model": "new"})");
    RawClient client(server_->port());
    client.Send(ask);
    ASSERT_TRUE(Eventually([](const EngineCounts& c) { return c.live > 0; }));
    EXPECT_EQ(Unload("new").status, 200);
    Refused(404, Ask(Ask20("new")));
    std::string text;
    int ends = 0;
    for (const Json& event : Events(client.Read().body)) {
      EXPECT_EQ(event["model"], "new");
      for (const Json& choice : event["choices"]) {
        text += choice["text"].get<std::string>();
        ends += choice["finish_reason"] == "length" ? 1 : 0;
      }
    }
    EXPECT_FALSE(text.empty());
    EXPECT_EQ(ends, 1);
    EXPECT_TRUE(EventuallyIdle());
  }
  Stop();  // the engine's thread has ended, so its memory may be looked at
  EXPECT_EQ(backend_->memory().live_bytes(), before);
}

TEST_F(ServerAdapters, MetricsAndLogsTellThemApart) {
  options_.log.file = folder_ / "log.jsonl";
  Start();
  TextOf("one"), TextOf("one"), TextOf("tiny");
  Refused(404, Ask(Ask20("none")));
  const std::string metrics = Ask(Get("/metrics")).body;
  for (const char* line : {"retort_model_requests_total{model=\"one\"} 2\n",
                           "retort_model_requests_total{model=\"tiny\"} 1\n",
                           "retort_model_generation_tokens_total{model=\"one\"} 40\n"})
    EXPECT_NE(metrics.find(line), std::string::npos) << line << metrics;
  EXPECT_EQ(metrics.find("none\"}"), std::string::npos);
  Stop();
  std::vector<Json> models;
  for (const std::string& line : Split(ReadText(folder_ / "log.jsonl", 1 << 20), '\n')) {
    if (!line.empty()) models.push_back(ParseJson(line, "line")["model"]);
  }
  EXPECT_EQ(models, (std::vector<Json>{"one", "one", "tiny", nullptr}));
}

TEST_F(ServerAdapters, ABadOneIsAnErrorAtTheStart) {
  options_.adapters.loaded = {{"one", "none"}};
  EXPECT_THROW(Start(), Error);
  options_.adapters.loaded = {{"tiny", "11"}};
  server_.reset();
  EXPECT_THROW(Start(), Error);
}

}  // namespace
}  // namespace retort
