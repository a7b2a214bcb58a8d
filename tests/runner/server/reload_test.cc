// SPDX-License-Identifier: Apache-2.0
// A server that reads its model again: requests that are under way end on the model that they began
// with, those that come then go to the new one, and none is lost.
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "base/error.h"
#include "tests/formats/support.h"
#include "tests/runner/server/fixture.h"

namespace retort {
namespace {

constexpr const char* kReload = "/v1/reload";

// The model's file is the seed that its weights are drawn with.
class ServerReload : public ServerTest {
 protected:
  ServerReload() {
    options_.reload = {[this] { return Open(); }, [this](const auto&) { return Cat(file_.load()); },
                       Cat(file_.load()), true,
                       [this](const std::string& note) {
                         const std::lock_guard lock(mutex_);
                         notes_.push_back(note);
                       }};
    options_.adapters = AdaptersOf(*model_);
    std::filesystem::create_directories(root_.path() / "11");
    std::filesystem::create_directories(root_.path() / "12");
  }
  ~ServerReload() override { Stop(); }  // before what it calls is gone

  struct OpenedTiny {
    std::unique_ptr<Backend> backend = MakeReferenceBackend();
    std::unique_ptr<Model> model;
  };
  ReopenedModel Open() {
    while (closed_) std::this_thread::sleep_for(1ms);
    if (file_ == 0) throw InputError("tiny.gguf: is no model");
    const auto opened = std::make_shared<OpenedTiny>();
    opened->model = RandomModel(model_->config, file_, *opened->backend, kSize);
    last_opened_ = opened;
    return {{*opened->model, nullptr, tokenizer_, "tiny", ChatTemplate::Named("chatml"), ""},
            options_.engine,
            {},
            AdaptersOf(*opened->model),
            opened};
  }
  // A folder's name is the seed of its adapter. Number 12 fits no model of an even number.
  AdapterOptions AdaptersOf(const Model& model) {
    const auto open = [this, &model](const Path& folder) {
      const auto seed = static_cast<uint64_t>(std::atoi(folder.filename().c_str()));
      if (seed == 12 && file_ % 2 == 1)
        throw InputError(folder.string(), ": was trained on another base");
      AdapterConfig config;
      config.rank = 4, config.alpha = 32;
      AdapterOffer offer;
      offer.load = [=, &model] { return RandomAdapter(config, model, seed); };
      return offer;
    };
    return {open, {}, root_.path()};
  }

  static std::string Ask20(const std::string& model = "tiny") {
    return Post(kComplete, Cat(R"({"prompt": "Once", "max_tokens": 20, "model": ")", model, "\"}"));
  }
  static std::string TextIn(const RawAnswer& answer) {
    EXPECT_EQ(answer.status, 200) << answer.body;
    if (answer.status != 200) return "";
    return ParseJson(answer.body, "answer")["choices"][0]["text"].get<std::string>();
  }
  // What a model of this number says alone, as JSON tells it; with an adapter, unless that is 0.
  std::string TextAlone(uint64_t file, uint64_t adapter = 0, int64_t tokens = 20) {
    const auto backend = MakeReferenceBackend();
    const auto model = RandomModel(model_->config, file, *backend, kSize);
    AdapterConfig config;
    config.rank = 4, config.alpha = 32;
    const auto beside = adapter == 0 ? nullptr : RandomAdapter(config, *model, adapter);
    Engine engine(*model, beside.get(), tokenizer_, options_.engine);
    SamplingOptions sampling;
    sampling.max_tokens = tokens;
    const std::string text = Generate(engine, tokenizer_.EncodePrompt("Once"), sampling).text;
    return ParseJson(DumpJson(text), "text").get<std::string>();
  }
  RawAnswer Reload() { return Ask(Post(kReload, "{}")); }
  // Whether new requests go to another model now.
  bool Reloads() {
    const RawAnswer answer = Reload();
    EXPECT_EQ(answer.status, 200) << answer.body;
    return answer.status == 200 && ParseJson(answer.body, "answer")["reloaded"].get<bool>();
  }
  std::string LastNote() {
    for (int i = 0; i < 6000; ++i) {
      {
        const std::lock_guard lock(mutex_);
        if (!notes_.empty()) return notes_.back();
      }
      std::this_thread::sleep_for(10ms);
    }
    return "";
  }

  TemporaryFolder root_;
  std::atomic<uint64_t> file_{kSeed};
  std::atomic<bool> closed_{false};  // opening waits
  std::weak_ptr<OpenedTiny> last_opened_;
  std::mutex mutex_;
  std::vector<std::string> notes_;
};

TEST_F(ServerReload, NoRequestIsLostAndEachIsAnsweredByOneModel) {
  const std::set<std::string> known = {TextAlone(4), TextAlone(5), TextAlone(6)};
  ASSERT_EQ(known.size(), 3u);
  Start();
  std::atomic<bool> more{true};
  std::atomic<int64_t> answered{0};
  std::vector<std::future<void>> clients;
  for (int c = 0; c < 6; ++c) {
    clients.push_back(std::async(std::launch::async, [&] {
      RawClient client(server_->port());
      for (; more; ++answered) {
        client.Send(Ask20());
        EXPECT_TRUE(known.contains(TextIn(client.Read())));
      }
    }));
  }
  for (int i = 1; i <= 12; ++i) {
    const int64_t before = answered;
    file_ = 4 + i % 3;
    EXPECT_TRUE(Reloads());
    // This is the new one's; so is all that comes until the next.
    EXPECT_EQ(TextIn(Ask(Ask20())), TextAlone(file_));
    while (answered < before + 6) std::this_thread::sleep_for(1ms);
  }
  more = false;
  for (auto& client : clients) client.get();
  EXPECT_TRUE(Eventually([](const EngineCounts& c) { return c.live + c.queued == 0; }));
  // Nothing that was done is forgotten, and nothing is counted twice.
  EXPECT_EQ(server_->counts().generated_tokens, (answered + 12) * 20);
  const std::string metrics = Ask(Get("/metrics")).body;
  EXPECT_NE(metrics.find(Cat("retort_requests_total{endpoint=\"completions\",status=\"200\"} ",
                             answered + 12, "\n")),
            std::string::npos)
      << metrics;
  EXPECT_NE(metrics.find("retort_requests_total{endpoint=\"reload\",status=\"200\"} 12\n"),
            std::string::npos);
}

TEST_F(ServerReload, AnAnswerEndsOnTheModelThatItBeganWith) {
  MakeEndless();
  options_.engine.context = 2000;
  options_.engine.cache_tokens = 4096;
  Start();
  file_ = 5;
  ASSERT_TRUE(Reloads());
  const std::weak_ptr<OpenedTiny> earlier = last_opened_;
  RawClient client(server_->port());
  client.Send(Post(kComplete, R"({"prompt": "Once", "max_tokens": 1500, "stream": true})"));
  ASSERT_TRUE(client.Await("data: "));
  file_ = 6;
  ASSERT_TRUE(Reloads());
  EXPECT_EQ(TextIn(Ask(Ask20())), TextAlone(6)) << "while the other one answers";
  EXPECT_FALSE(earlier.expired());
  std::string text;
  for (const Json& event : Events(client.Read().body)) {
    for (const Json& choice : event["choices"]) text += choice["text"].get<std::string>();
  }
  EXPECT_EQ(text, TextAlone(5, 0, 1500));
  // Its memory is free, although the client's connection is still open.
  for (int i = 0; i < 6000 && !earlier.expired(); ++i) std::this_thread::sleep_for(10ms);
  EXPECT_TRUE(earlier.expired());
  EXPECT_EQ(TextIn(Ask(Ask20())), TextAlone(6));
}

TEST_F(ServerReload, TheFirstModelIsGivenBackToo) {
  auto first = std::make_shared<OpenedTiny>();
  first->model = RandomModel(model_->config, kSeed, *first->backend, kSize);
  options_.adapters = AdaptersOf(*first->model);
  server_.emplace(ServedModel{*first->model, nullptr, tokenizer_, "tiny", {}, ""}, options_, first);
  thread_ = std::thread([this] { ended_in_order_ = server_->Run(); });
  const std::weak_ptr<OpenedTiny> held = std::exchange(first, nullptr);
  EXPECT_EQ(TextIn(Ask(Ask20())), TextAlone(4));
  EXPECT_FALSE(held.expired());
  file_ = 5;
  EXPECT_TRUE(Reloads());
  for (int i = 0; i < 6000 && !held.expired(); ++i) std::this_thread::sleep_for(10ms);
  EXPECT_TRUE(held.expired());
}

TEST_F(ServerReload, AnswersGoOnWhileAModelIsRead) {
  Start();
  file_ = 5;
  closed_ = true;
  auto reload = std::async(std::launch::async, [&] { return Reloads(); });
  const auto refused = [&] {
    return Ask(Post("/v1/load_lora_adapter", R"({"lora_name": "one", "lora_path": "11"})"));
  };
  RawAnswer answer = refused();
  for (; answer.status == 200; answer = refused())  // it has not begun
    Ask(Post("/v1/unload_lora_adapter", R"({"lora_name": "one"})"));
  EXPECT_EQ(Refused(409, answer)["code"], "model_reloading");
  EXPECT_EQ(TextIn(Ask(Ask20())), TextAlone(4));
  // Whoever asks now is told of what the file is afterwards.
  auto again = std::async(std::launch::async, [&] { return Reloads(); });
  std::this_thread::sleep_for(50ms);
  closed_ = false;
  EXPECT_TRUE(reload.get());
  EXPECT_FALSE(again.get());
  EXPECT_EQ(TextIn(Ask(Ask20())), TextAlone(5));
}

TEST_F(ServerReload, AFileThatCannotBeReadChangesNothing) {
  Start();
  file_ = 0;
  const std::string message = Refused(500, Reload())["message"];
  EXPECT_EQ(message, "the model is kept as it was: tiny.gguf: is no model");
  EXPECT_EQ(LastNote(), "retort: " + message);
  EXPECT_EQ(TextIn(Ask(Ask20())), TextAlone(4));
  Refused(500, Reload());  // it is tried again
  file_ = 5;
  EXPECT_TRUE(Reloads());
  EXPECT_FALSE(Reloads()) << "no file has changed";
  EXPECT_EQ(TextIn(Ask(Ask20())), TextAlone(5));
}

TEST_F(ServerReload, AdaptersAreLoadedAnew) {
  Start();
  const auto load = [&](const std::string& name, const std::string& folder) {
    return Ask(Post("/v1/load_lora_adapter",
                    DumpJson({{"lora_name", name}, {"lora_path", folder}})))
        .status;
  };
  ASSERT_EQ(load("one", "11"), 200);
  ASSERT_EQ(load("gone", "11"), 200);
  ASSERT_EQ(Ask(Post("/v1/unload_lora_adapter", R"({"lora_name": "gone"})")).status, 200);
  EXPECT_EQ(TextIn(Ask(Ask20("one"))), TextAlone(4, 11));
  file_ = 5;
  ASSERT_TRUE(Reloads());
  EXPECT_EQ(TextIn(Ask(Ask20("one"))), TextAlone(5, 11));
  EXPECT_EQ(Ask(Ask20("gone")).status, 404);
  // One that does not fit keeps the model.
  file_ = 6;
  ASSERT_TRUE(Reloads());
  ASSERT_EQ(load("two", "12"), 200);
  file_ = 7;
  const std::string message = Refused(500, Reload())["message"];
  EXPECT_NE(message.find("adapter 'two' ("), std::string::npos) << message;
  EXPECT_NE(message.find("was trained on another base"), std::string::npos) << message;
  EXPECT_EQ(TextIn(Ask(Ask20("two"))), TextAlone(6, 12));
}

TEST_F(ServerReload, IsForWhoMayAskAlone) {
  options_.reload.for_clients = false;
  Start();
  const std::string message = Refused(403, Reload())["message"];
  EXPECT_NE(message.find("--allow-reload"), std::string::npos);
  EXPECT_EQ(Ask(Get(kReload)).status, 405);
  Stop();
  options_.reload.for_clients = true;
  Start();
  EXPECT_EQ(Refused(400, kReload, R"({"path": "other.gguf"})")["param"], "path");
  EXPECT_EQ(Ask(Post(kReload, "")).status, 200);
}

// The end of the server ends both models' answers.
TEST_F(ServerReload, TheEndIsTheSameForBoth) {
  MakeEndless();
  Start();
  RawClient old_one(server_->port()), new_one(server_->port());
  old_one.Send(Endless(true));
  ASSERT_TRUE(old_one.Await("data: "));
  file_ = 5;
  ASSERT_TRUE(Reloads());
  new_one.Send(Endless(true));
  ASSERT_TRUE(new_one.Await("data: "));
  EXPECT_TRUE(Eventually([](const EngineCounts& c) { return c.live == 2; }));
  Stop();
  EXPECT_TRUE(ended_in_order_);
  for (RawClient* client : {&old_one, &new_one})
    EXPECT_NE(client->Read().body.find("the server is stopping"), std::string::npos);
}

}  // namespace
}  // namespace retort
