// SPDX-License-Identifier: Apache-2.0
// Whatever is guessed, the same is said: with a drafter that is always right, one that is hardly
// ever, and one that looks at the text alone.
#include "runner/engine/draft/speculation.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/random.h"
#include "base/strings.h"
#include "grammar/compile.h"
#include "runner/engine/engine.h"
#include "tensor/cpu/products.h"
#include "tensor/quant/quant.h"
#include "tests/runner/engine/faulty_backend.h"
#include "tests/support/random_model.h"
#include "tests/tokenizer/byte_tokenizer.h"

namespace retort {
namespace {

using Ids = std::vector<int32_t>;

// What a request was told.
struct Outcome {
  Ids ids;
  std::string text;
  FinishReason finish = FinishReason::kNone;
  std::vector<double> logprobs;
  int64_t drafted = 0, accepted = 0;
};

// The guesses aside.
void ExpectSame(const Outcome& a, const Outcome& b, const std::string& where) {
  EXPECT_EQ(a.ids, b.ids) << where;
  EXPECT_EQ(a.text, b.text) << where;
  EXPECT_EQ(a.finish, b.finish) << where;
  EXPECT_EQ(a.logprobs, b.logprobs) << where;
}

class SpeculationTest : public testing::Test {
 protected:
  SpeculationTest() {
    const DenseConfig config = SmallConfig(tokenizer_.vocab_size());
    model_ = RandomModel(config, 4, *backend_, 3);
    model_->config.ends = {tokenizer_.vocab_size() + 7};  // none that it could say
    other_ = RandomModel(config, 9, *backend_, 3);
    drafts_ = {{"ngram", {.ngram = true}},
               {"itself", {.model = model_.get()}},
               {"another", {.model = other_.get()}},
               {"one token", {.tokens = 1, .model = model_.get()}}};
  }

  // A text that says itself again and again.
  static Ids Prompt(int64_t size, int32_t salt) {
    Ids ids = {ByteTokenizer::kBos};
    for (int32_t i = 1; i < size; ++i) ids.push_back('a' + (i % 7 * 5 + salt) % 26);
    return ids;
  }
  static GenerationRequest Request(int32_t number) {
    GenerationRequest request;
    request.prompt = Prompt(10 + 3 * number, number);
    SamplingOptions& s = request.sampling;
    s.max_tokens = 40 + number;
    s.seed = static_cast<uint64_t>(number);
    if (number % 4 != 0) s.temperature = 0.7;
    if (number % 4 == 2) s.top_p = 0.9, s.repetition_penalty = 1.3, request.logprobs = 2;
    if (number % 4 == 3) s.mirostat = true;
    return request;
  }
  static std::vector<GenerationRequest> Requests(int32_t count) {
    std::vector<GenerationRequest> requests;
    requests.reserve(static_cast<size_t>(count));
    for (int32_t i = 0; i < count; ++i) requests.push_back(Request(i));
    return requests;
  }

  std::vector<Outcome> Say(std::vector<GenerationRequest> requests, const EngineOptions& options) {
    Engine engine(*model_, adapted_, tokenizer_, options);
    std::vector<Outcome> out(requests.size());
    for (size_t i = 0; i < requests.size(); ++i) {
      requests[i].on_event = [&told = out[i]](const GenerationEvent& e) {
        EXPECT_EQ(told.finish, FinishReason::kNone) << "an event after the end";
        told.ids.insert(told.ids.end(), e.ids.begin(), e.ids.end());
        told.text += e.text;
        told.finish = e.finish;
        for (const TokenLogprobs& token : e.logprobs) told.logprobs.push_back(token.logprob);
        told.drafted = e.drafted_tokens, told.accepted = e.accepted_tokens;
        return true;
      };
      engine.Submit(std::move(requests[i]));
    }
    while (engine.Step()) {
    }
    counts_ = engine.counts();
    return out;
  }
  // The same with each drafter, and without.
  void ExpectNothingShows(const std::vector<GenerationRequest>& requests, EngineOptions options) {
    const std::vector<Outcome> plain = Say(requests, options);
    for (const auto& [name, draft] : drafts_) {
      options.draft = draft;
      const std::vector<Outcome> drafted = Say(requests, options);
      for (size_t i = 0; i < plain.size(); ++i)
        ExpectSame(plain[i], drafted[i], name + ", request " + std::to_string(i));
      EXPECT_GT(counts_.drafted_tokens, 0) << name;
      EXPECT_EQ(counts_.cached_tokens, 0) << name;
    }
  }

  ByteTokenizer tokenizer_;
  std::unique_ptr<Backend> backend_ = MakeReferenceBackend();
  std::unique_ptr<Model> model_, other_;
  std::vector<std::pair<std::string, DraftOptions>> drafts_;
  const Adapter* adapted_ = nullptr;  // the model's
  EngineCounts counts_;               // behind the last Say
};

TEST_F(SpeculationTest, AloneAndBesideFifteenOthersTheSameIsSaid) {
  const std::vector<GenerationRequest> requests = Requests(16);
  for (const int64_t parallel : {5, 12}) ExpectNothingShows(requests, {.parallel = parallel});
  const std::vector<Outcome> beside = Say(requests, {.parallel = 16, .draft = drafts_[1].second});
  for (size_t i = 0; i < requests.size(); i += 5) {
    const Outcome alone = Say({requests[i]}, {.parallel = 1, .draft = drafts_[1].second})[0];
    ExpectSame(alone, beside[i], "request " + std::to_string(i));
  }
}

TEST_F(SpeculationTest, AModelThatDraftsForItselfIsRightAtAnyTemperature) {
  for (const double temperature : {0.0, 0.8, 1.5}) {
    GenerationRequest request = Request(0);
    request.sampling.temperature = temperature;
    request.sampling.top_k = 40;
    request.sampling.max_tokens = 90;
    const Outcome told = Say({request}, {.draft = {.model = model_.get()}})[0];
    EXPECT_EQ(told.ids.size(), 90u);
    EXPECT_EQ(told.accepted, told.drafted);
    EXPECT_LT(counts_.steps, 20) << "at most nine tokens a step";
    EXPECT_EQ(counts_.accepted_tokens, told.accepted);
    EXPECT_EQ(counts_.generated_tokens, 90);
  }
}

// Of another random model hardly a guess comes true, and then there are few.
TEST_F(SpeculationTest, BadGuessesAreGivenUp) {
  GenerationRequest request = Request(1);
  request.sampling.max_tokens = 200;
  const Outcome told = Say({request}, {.draft = {.model = other_.get()}})[0];
  EXPECT_EQ(told.ids.size(), 200u);
  EXPECT_GT(told.drafted, 4);
  EXPECT_LT(told.drafted, 60);
  EXPECT_LT(told.accepted, told.drafted / 2);
}

TEST_F(SpeculationTest, StreamsThatLoseTheirPagesSayTheSame) {
  std::vector<GenerationRequest> requests;
  for (int32_t i = 0; i < 5; ++i) {
    requests.push_back(Request(4 + i));
    requests.back().prompt = Prompt(25 + i, i);
    requests.back().sampling.max_tokens = 50;
  }
  const EngineOptions options{
      .parallel = 3, .context = 4 * kPageTokens, .cache_tokens = 4 * kPageTokens};
  ExpectNothingShows(requests, options);
  EXPECT_GT(counts_.preempted, 0);
}

TEST_F(SpeculationTest, AnswersEndWhereTheyWouldHave) {
  const Ids free = Say({Request(0)}, {})[0].ids;
  std::vector<GenerationRequest> requests(6, Request(0));
  requests[0].sampling.max_tokens = 1;
  requests[1].sampling.max_tokens = 2;
  requests[2].sampling.stop_token_ids = {free[20]};
  requests[3].sampling.stop = {tokenizer_.Decode(Ids(free.begin() + 12, free.begin() + 14), false)};
  requests[4].sampling.stop = requests[3].sampling.stop;
  requests[4].sampling.min_tokens = 25;
  requests[5].sampling.max_tokens = 0;
  ExpectNothingShows(requests, {.parallel = 6});
}

TEST_F(SpeculationTest, GrammarsHoldTheSameAnswers) {
  const auto words = std::make_shared<const Vocabulary>(tokenizer_);
  std::vector<GenerationRequest> requests;
  for (const bool logprobs : {false, true}) {
    for (int32_t i = 0; i < 4; ++i) {
      requests.push_back(Request(i));
      requests.back().logprobs = logprobs ? 1 : -1;
      requests.back().constraint.grammar =
          CompileGrammar({GrammarSource::Kind::kSchema,
                          R"({"type": "object", "properties": {"kind": {"enum": ["cat", "camel"]},
               "names": {"type": "array", "items": {"type": "string", "maxLength": 3},
               "minItems": 3, "maxItems": 3}}, "required": ["kind", "names"],
               "additionalProperties": false})"},
                         "test", words);
    }
  }
  ExpectNothingShows(requests, {.parallel = 8});
}

// Streams share the room that they leave; a step that is full already has no guesses.
TEST_F(SpeculationTest, GuessesFillUpAStep) {
  const EngineOptions options{.parallel = 20, .draft = {.tokens = 64, .model = model_.get()}};
  for (const int32_t streams : {1, 3, 10, 16, 20}) {
    Engine engine(*model_, nullptr, tokenizer_, options);
    GenerationRequest request = Request(0);
    request.sampling.max_tokens = 150;
    for (int32_t i = 0; i < streams; ++i) engine.Submit(request);
    EngineCounts before = engine.counts();
    bool full = false;
    while (engine.Step()) {
      const int64_t room = std::max<int64_t>(0, Speculation::kFullStep - before.live);
      const int64_t drafted = engine.counts().drafted_tokens - before.drafted_tokens;
      EXPECT_LE(drafted, room) << streams;
      full = full || (drafted > 0 && drafted == room);
      before = engine.counts();
    }
    EXPECT_EQ(full, streams < Speculation::kFullStep) << streams;
  }
}

TEST_F(SpeculationTest, TheDraftingModelsCacheIsCounted) {
  EngineOptions options{.context = 64, .cache_tokens = 256};
  const int64_t plain = Engine(*model_, nullptr, tokenizer_, options).counts().cache_bytes;
  options.draft.model = other_.get();
  EXPECT_EQ(Engine(*model_, nullptr, tokenizer_, options).counts().cache_bytes, 2 * plain);
  // It needs no more than its positions, for each stream, and what is kept of earlier prompts.
  options.parallel = 2, options.kept_tokens = kPageTokens;
  other_->config.max_positions = 2 * kPageTokens - 1;
  EXPECT_EQ(Engine(*model_, nullptr, tokenizer_, options).counts().cache_bytes,
            plain + plain / 256 * 5 * kPageTokens);
  options.draft.tokens = 0;
  EXPECT_THROW(Engine(*model_, nullptr, tokenizer_, options), std::exception);
}

// The drafting model's logits of one stream are no numbers.
TEST_F(SpeculationTest, ADraftOfOddNumbersHarmsNoAnswer) {
  FaultyBackend faulty(tokenizer_.vocab_size());
  const auto odd = RandomModel(SmallConfig(tokenizer_.vocab_size()), 4, faulty, 3);
  std::vector<GenerationRequest> requests = Requests(5);
  requests[2].prompt[3] = FaultyBackend::kNotANumber;
  const std::vector<Outcome> plain = Say(requests, {.parallel = 5});
  const std::vector<Outcome> drafted =
      Say(requests, {.parallel = 5, .draft = {.model = odd.get()}});
  for (size_t i = 0; i < plain.size(); ++i) {
    ExpectSame(plain[i], drafted[i], "request " + std::to_string(i));
    EXPECT_EQ(drafted[i].accepted > 0, i != 2) << i;
  }
  EXPECT_EQ(drafted[2].drafted, 0);
}

// A step of the drafting model fails: streams in it go on without guesses, later ones have some.
TEST_F(SpeculationTest, ADraftThatFailsHarmsNoAnswer) {
  FaultyBackend faulty(tokenizer_.vocab_size());
  const auto fails = RandomModel(SmallConfig(tokenizer_.vocab_size()), 4, faulty, 3);
  std::vector<GenerationRequest> requests = Requests(5);
  requests[2].prompt[3] = FaultyBackend::kFails;
  const std::vector<Outcome> plain = Say(requests, {.parallel = 3});
  const std::vector<Outcome> drafted =
      Say(requests, {.parallel = 3, .draft = {.model = fails.get()}});
  for (size_t i = 0; i < plain.size(); ++i) {
    ExpectSame(plain[i], drafted[i], "request " + std::to_string(i));
    EXPECT_EQ(drafted[i].accepted > 0, i > 2) << i;
  }
}

TEST_F(SpeculationTest, NothingIsGuessedThatTheModelLacks) {
  const int32_t vocab = 130;
  model_ = RandomModel(SmallConfig(vocab), 4, *backend_, 3);
  model_->config.ends = {tokenizer_.vocab_size() + 7};
  std::vector<GenerationRequest> requests = Requests(6);
  for (GenerationRequest& request : requests) request.prompt[0] = 'a';
  drafts_ = {{"of more ids", {.model = other_.get()}}};
  ExpectNothingShows(requests, {.parallel = 6});
}

// What the drafting model has read of a stream that lost its pages is no hindrance to others.
TEST_F(SpeculationTest, StreamsThatLostTheirPagesLeaveTheDraftItsRoom) {
  std::vector<GenerationRequest> requests(2, Request(0));
  requests[1].prompt = Prompt(2 * kPageTokens, 5);
  requests[0].sampling.max_tokens = 8 * kPageTokens - std::ssize(requests[0].prompt);
  const EngineOptions options{.parallel = 2,
                              .context = 8 * kPageTokens,
                              .cache_tokens = 8 * kPageTokens,
                              .kept_tokens = 0,
                              .draft = {.tokens = 4, .model = model_.get()}};
  requests[1].sampling.max_tokens = 8 * kPageTokens - std::ssize(requests[1].prompt);
  const std::vector<Outcome> told = Say(requests, options);
  EXPECT_GT(counts_.preempted, 0);
  // It goes on alone, with four guesses in each step.
  EXPECT_GT(told[0].accepted, requests[0].sampling.max_tokens * 3 / 4);
}

// As a server holds its weights: to the last bit of the log-probabilities.
struct Held {
  Compute compute;
  const char* format;
};

class SpeculationBits : public SpeculationTest, public testing::WithParamInterface<Held> {
 protected:
  SpeculationBits() {
    model_.reset(), other_.reset();
    backend_ = MakeCpuBackend(2, GetParam().compute);
    DenseConfig config = SmallConfig(tokenizer_.vocab_size());
    config.width = config.ffn = 256, config.head_dim = 64;
    model_ = RandomModel(config, 4, *backend_, 3);
    for (size_t id = 0; id < model_->linears.size(); ++id) {
      if (model_->layout.linears[id].use == LinearUse::kEmbedding) continue;
      auto& weight = std::get<PreparedWeight>(model_->linears[id].weight);
      weight = backend_->Prepare(
          Requantised(weight.as<CpuWeight>().weight, FormatNamed(GetParam().format), false,
                      backend_->memory(), backend_->pool()),
          {.purpose = WeightUse::Purpose::kRunning, .lasting = true});
    }
    adapter_ = Adapter::Make({.rank = 3}, model_->layout, 5, *backend_);
    for (Parameter* p : adapter_->parameters()) {
      RandomStream random(MakeKey(6, RandomUse::kInit, NameKey(p->name)));
      for (int64_t i = 0; i < p->value.elements(); ++i)
        p->value.data<float>()[i] = static_cast<float>(0.1 * random.Normal());
    }
    other_ = RandomModel(config, 9, *backend_, 3);
    drafts_ = {{"itself", {.model = model_.get()}}, {"another", {.model = other_.get()}}};
  }

  std::unique_ptr<Adapter> adapter_;
};

TEST_P(SpeculationBits, AreTheSameBesideGuesses) {
  std::vector<GenerationRequest> requests = Requests(6);
  for (GenerationRequest& request : requests) request.logprobs = 1;
  for (const bool adapted : {false, true}) {
    adapted_ = adapted ? adapter_.get() : nullptr;
    ExpectNothingShows(requests, {.parallel = 6, .cache_type = CacheTypeFor(GetParam().compute)});
  }
}

INSTANTIATE_TEST_SUITE_P(Weights, SpeculationBits,
                         testing::Values(Held{Compute::kF32, "f32"}, Held{Compute::kBF16, "f16"},
                                         Held{Compute::kInt8, "q8_0"}, Held{Compute::kInt8, "q4_0"},
                                         Held{Compute::kInt8, "q4_k"}),
                         [](const auto& info) { return std::string(info.param.format); });

// A stream that has said its first token, in a cache of three pages.
struct Guessing {
  explicit Guessing(char first, const std::shared_ptr<const Grammar>& grammar = nullptr)
      : stream(1, Request(grammar), tokenizer, {}, 3 * kPageTokens) {
    EXPECT_TRUE(cache.Extend(stream.pages, stream.size()));
    Read();
    Says(first);
    stream.generates = true;
    EXPECT_TRUE(stream.MayGuess());
  }
  static GenerationRequest Request(const std::shared_ptr<const Grammar>& grammar) {
    GenerationRequest request;
    request.prompt = Ids(kPageTokens - 3, 'p');
    request.constraint.grammar = grammar;
    return request;
  }
  void Read() {
    batch.Clear(), rows.clear();
    stream.AppendTo(stream.unread(), batch, rows);
  }
  GenerationEvent Says(char c) {
    std::vector<float> logits(static_cast<size_t>(tokenizer.vocab_size()), 0.0f);
    logits[static_cast<size_t>(c)] = 1;
    return stream.Next(logits, sampler);
  }

  std::unique_ptr<Backend> backend = MakeReferenceBackend();
  ByteTokenizer tokenizer;
  KvCache cache{*backend, {{{1, 1}}}, DType::kF32, 3 * kPageTokens};
  Stream stream;
  Sampler sampler;
  Batch batch;
  std::vector<int32_t> rows;
};

// What was guessed and not said: its place in the cache is that of what was said instead.
TEST(StreamGuesses, LeaveNothingWhereTheyWereWrong) {
  Guessing guessing('s');
  Stream& stream = guessing.stream;
  KvCache& cache = guessing.cache;
  const Batch& batch = guessing.batch;
  const Ids& rows = guessing.rows;
  EXPECT_EQ(stream.AskForGuesses().most, DraftLength::kFirst);
  stream.Guess(Ids{'a', 'b', 'c', guessing.tokenizer.vocab_size(), 'd'});
  ASSERT_EQ(stream.guesses().size(), 3u) << "ids that no token has cannot be said";
  ASSERT_TRUE(cache.Extend(stream.pages, stream.size() + 3));
  EXPECT_EQ(cache.free_pages(), 1);
  guessing.Read();
  EXPECT_EQ(batch.ids, (Ids{'s', 'a', 'b', 'c'}));
  EXPECT_EQ(batch.positions, (Ids{29, 30, 31, 32}));
  ASSERT_EQ(batch.layout.runs.size(), 4u) << "one query each, as if they had been said";
  const int32_t place = rows[2];

  EXPECT_EQ(guessing.Says('a').accepted_tokens, 1);
  EXPECT_EQ(stream.unread(), 0) << "it is read already";
  EXPECT_EQ(guessing.Says('x').drafted_tokens, 3);
  EXPECT_EQ(stream.unread(), 1);
  stream.DropGuesses(cache);
  EXPECT_EQ(cache.free_pages(), 2);
  EXPECT_TRUE(stream.guesses().empty());
  guessing.Read();
  EXPECT_EQ(batch.ids, Ids{'x'});
  EXPECT_EQ(batch.positions, Ids{31});
  EXPECT_EQ(rows, Ids{place});
}

// Their drafter made them in vain, and is asked less.
TEST(StreamGuesses, CountAsWrongWhereTheyAreNotRead) {
  const auto words = std::make_shared<const Vocabulary>(ByteTokenizer());
  for (const bool allowed : {false, true}) {
    Guessing guessing('a', CompileGrammar({GrammarSource::Kind::kRegex, "[ab]*"}, "test", words));
    Stream& stream = guessing.stream;
    for (const int64_t expected : {DraftLength::kFirst, DraftLength::kFirst / 2, int64_t{1}}) {
      ASSERT_EQ(stream.AskForGuesses().most, expected);
      stream.Guess(Ids(static_cast<size_t>(expected), allowed ? 'a' : 'c'));
      EXPECT_EQ(stream.guesses().empty(), !allowed);
      stream.LeaveGuesses();
      ASSERT_TRUE(guessing.cache.Extend(stream.pages, stream.size()));
      guessing.Read();
      guessing.Says('a');
      stream.DropGuesses(guessing.cache);
    }
    EXPECT_EQ(stream.AskForGuesses().most, 0) << "a pause";
  }
}

TEST(StreamGuesses, EndWhereTheGrammarTakesTooLong) {
  const auto words = std::make_shared<const Vocabulary>(ByteTokenizer());
  std::string text = "root ::= \"z\" | \"a\" root \"y\"";
  for (int i = 0; i < 2000; ++i) text += Cat(" | \"b", i, "\" root \"y\"");
  Guessing guessing('a', CompileGrammar({GrammarSource::Kind::kGbnf, text}, "test", words));
  guessing.stream.Guess(Ids(3, 'a'));
  EXPECT_EQ(guessing.stream.guesses().size(), 3u);
  EXPECT_TRUE(guessing.stream.MayGuess());
  guessing.stream.Guess(Ids(40, 'a'));
  EXPECT_TRUE(guessing.stream.guesses().empty());
  EXPECT_FALSE(guessing.stream.MayGuess());
}

}  // namespace
}  // namespace retort
