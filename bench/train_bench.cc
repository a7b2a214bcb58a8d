// SPDX-License-Identifier: Apache-2.0
#include <vector>

#include "base/random.h"
#include "bench/bench.h"
#include "bench/work.h"
#include "data/packing.h"
#include "train/trainer.h"

namespace retort {
namespace {

std::vector<Example> RandomExamples(int64_t count, int64_t tokens, int64_t vocab) {
  std::vector<Example> examples(static_cast<size_t>(count));
  for (size_t i = 0; i < examples.size(); ++i) {
    RandomStream random(MakeKey(1, RandomUse::kData, i));
    examples[i].row = static_cast<int64_t>(i);
    for (int64_t t = 0; t < tokens; ++t) {
      examples[i].ids.push_back(static_cast<int32_t>(random.Below(static_cast<uint64_t>(vocab))));
    }
    examples[i].labels = examples[i].ids;
  }
  return examples;
}

}  // namespace

BenchResult BenchTraining(Subject& subject, const TrainBench& options, const OnRepeat& on_repeat) {
  const Model& model = *subject.model;
  Backend& backend = *subject.backend;
  const std::vector<Example> examples =
      RandomExamples(options.batch_rows * (options.repeat + 1), options.tokens, model.config.vocab);
  BatchOptions batches;
  batches.batch_rows = options.batch_rows;
  batches.max_tokens = options.tokens;
  batches.packing = batches.shuffle = false;
  BatchStream stream(examples, batches);

  AdapterConfig lora;
  lora.rank = options.rank;
  lora.alpha = 2.0 * static_cast<double>(options.rank);
  const auto adapter = Adapter::Make(lora, model.config, 1, backend);
  TrainerOptions training;
  training.schedule.kind = Schedule::Kind::kConstant;
  Trainer trainer(model, adapter.get(), stream, training);

  BenchResult result;
  result.tokens = options.batch_rows * options.tokens;
  const GemmPeak before = MeasureGemmPeak(subject.compute, backend.threads());
  on_repeat(0, options.repeat, 0);
  trainer.Step();  // makes ready: buffers, the library's kernels
  std::vector<double> rates;
  for (int64_t i = 0; i < options.repeat; ++i) {
    const StepMetrics step = *trainer.Step();
    rates.push_back(static_cast<double>(step.tokens) / step.seconds);
    on_repeat(i + 1, options.repeat, rates.back());
  }
  result.tokens_per_second = SpreadOf(rates);
  result.peak_rss_bytes = PeakRssBytes();
  const GemmPeak peak = Higher(before, MeasureGemmPeak(subject.compute, backend.threads()));
  result.limit = peak.per_second;
  result.limit_by = peak.by;
  result.work_per_token = 4.0 * static_cast<double>(MatrixParameters(model.config));
  result.fraction_of_peak = result.work_per_token * result.tokens_per_second.median / result.limit;
  return result;
}

}  // namespace retort
