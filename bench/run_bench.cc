// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <vector>

#include "base/error.h"
#include "base/random.h"
#include "bench/bench.h"
#include "bench/work.h"
#include "runner/engine/engine.h"
#include "runner/engine/kv_cache.h"

namespace retort {
namespace {

constexpr int64_t kPrefillTokens = 512;  // per step, as in the runner

// The engine requires a tokenizer to produce text; the benchmark does not use the text.
class NoText final : public Tokenizer {
 public:
  const TokenizerSpec& spec() const override { return spec_; }
  using Tokenizer::Encode;
  std::vector<int32_t> Encode(const std::vector<Segment>&, bool) const override { return {}; }
  std::string Bytes(int32_t, bool) const override { return ""; }
  std::string Decode(const std::vector<int32_t>&, bool) const override { return ""; }

 private:
  TokenizerSpec spec_;
};

// The engine of one benchmark, and its prompts.
class Sequences {
 public:
  // `generated`: tokens of each sequence after the prompt; `prefill_tokens`: read in one step.
  Sequences(const Subject& subject, const RunBench& options, int64_t generated,
            int64_t prefill_tokens)
      : options_(options),
        generated_(generated),
        vocab_(subject.model->config.vocab),
        engine_(*subject.model, nullptr, no_text_, EngineOf(options, generated, prefill_tokens)) {}

  void Submit() {
    for (int64_t s = 0; s < options_.sequences; ++s) {
      GenerationRequest request;
      request.prompt = RandomPrompt();
      request.sampling = options_.sampling;
      request.sampling.max_tokens = generated_;
      engine_.Submit(std::move(request));
    }
  }
  bool Step() { return engine_.Step(); }

 private:
  static EngineOptions EngineOf(const RunBench& options, int64_t generated,
                                int64_t prefill_tokens) {
    EngineOptions engine;
    engine.parallel = options.sequences;
    engine.context = options.prompt + generated;
    // Whole pages for each sequence, so that all run at once.
    engine.cache_tokens = options.sequences * KvCache::PagesFor(engine.context) * kPageTokens;
    engine.prefill_tokens = prefill_tokens;
    engine.kept_tokens = 0;  // no prompt comes twice
    engine.cache_type = options.cache_type;
    return engine;
  }

  std::vector<int32_t> RandomPrompt() {
    RandomStream random(MakeKey(2, RandomUse::kData, ++prompts_));
    std::vector<int32_t> ids(static_cast<size_t>(options_.prompt));
    for (int32_t& id : ids) id = static_cast<int32_t>(random.Below(static_cast<uint64_t>(vocab_)));
    return ids;
  }

  const RunBench& options_;
  int64_t generated_, vocab_;
  uint64_t prompts_ = 0;
  NoText no_text_;
  Engine engine_;
};

// Removes the end tokens, so that the number of generated tokens does not depend on the model.
void RunOn(Subject& subject) { subject.model->config.ends.clear(); }

// Times `work`, which returns its seconds: once as a warm-up and then `repeat` times.
Spread Repeat(int64_t repeat, int64_t tokens, const OnRepeat& on_repeat,
              const std::function<double()>& work) {
  on_repeat(0, repeat, 0);
  work();
  std::vector<double> rates;
  for (int64_t i = 0; i < repeat; ++i) {
    rates.push_back(static_cast<double>(tokens) / work());
    on_repeat(i + 1, repeat, rates.back());
  }
  return SpreadOf(rates);
}

}  // namespace

BenchResult BenchPrefill(Subject& subject, const RunBench& options, const OnRepeat& on_repeat) {
  RunOn(subject);
  const Architecture& config = subject.model->config;
  const int threads = subject.backend->threads();
  const GemmPeak before = MeasureGemmPeak(subject.compute, threads);
  Sequences sequences(subject, options, 1, kPrefillTokens);
  BenchResult result;
  result.tokens = options.sequences * options.prompt;
  result.tokens_per_second = Repeat(options.repeat, result.tokens, on_repeat, [&] {
    sequences.Submit();
    const Stopwatch watch;
    while (sequences.Step()) {
    }
    return watch.seconds();
  });
  result.peak_rss_bytes = PeakRssBytes();
  const GemmPeak peak = Higher(before, MeasureGemmPeak(subject.compute, threads));
  result.limit = peak.per_second;
  result.limit_by = peak.by;
  result.work_per_token = 2.0 * static_cast<double>(MatrixParameters(config));
  const double rate = result.tokens_per_second.median / result.limit;
  result.fraction_of_peak = result.work_per_token * rate;
  result.fraction_of_peak_blocks = 2.0 * static_cast<double>(BlockParameters(config)) * rate;
  return result;
}

BenchResult BenchDecode(Subject& subject, const RunBench& options, const OnRepeat& on_repeat) {
  RunOn(subject);
  // All prompts are read in one step, which samples each sequence's first token.
  Sequences sequences(subject, options, options.gen + 1, options.sequences * options.prompt);
  BenchResult result;
  result.tokens = options.sequences * options.gen;
  result.tokens_per_second = Repeat(options.repeat, result.tokens, on_repeat, [&] {
    sequences.Submit();
    sequences.Step();
    const Stopwatch watch;
    int64_t steps = 0;
    while (sequences.Step()) ++steps;
    const double seconds = watch.seconds();
    RETORT_CHECK(steps == options.gen, "generated ", steps, " tokens of ", options.gen);
    return seconds;
  });
  result.peak_rss_bytes = PeakRssBytes();
  result.limit = MeasureReadBandwidth(subject.backend->threads());
  result.limit_by = "sequential reads";
  // Step i reads the keys of the prompt, of the i previous tokens and of its own token.
  const double context =
      static_cast<double>(options.prompt) + (static_cast<double>(options.gen) + 1) / 2;
  result.work_per_token =
      DecodeBytes(*subject.model, options.cache_type, options.sequences, context) /
      static_cast<double>(options.sequences);
  result.fraction_of_peak = result.work_per_token * result.tokens_per_second.median / result.limit;
  return result;
}

}  // namespace retort
