// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <optional>
#include <vector>

#include "base/random.h"
#include "bench/bench.h"
#include "bench/work.h"
#include "data/packing.h"
#include "train/objectives/cross_entropy.h"
#include "train/objectives/online_distillation.h"
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

// A trainer with its own adapter on the shared model and rows.
class Student {
 public:
  Student(const Model& model, const std::vector<Example>& examples, const TrainBench& options,
          Objective& objective)
      : stream_(examples, BatchesOf(options)),
        adapter_(Adapter::Make(Lora(options), model.layout, 1, model.backend)) {
    TrainerOptions training;
    training.schedule.kind = Schedule::Kind::kConstant;
    training.part_tokens = options.part_tokens;
    trainer_ = std::make_unique<Trainer>(model, adapter_.get(), stream_, training, objective);
  }
  double StepSeconds() { return trainer_->Step()->seconds; }

 private:
  static BatchOptions BatchesOf(const TrainBench& options) {
    BatchOptions batches;
    batches.batch_rows = options.batch_rows;
    batches.max_tokens = options.tokens;
    batches.packing = batches.shuffle = false;
    return batches;
  }
  static AdapterConfig Lora(const TrainBench& options) {
    AdapterConfig lora;
    lora.rank = options.rank;
    lora.alpha = 2.0 * static_cast<double>(options.rank);
    return lora;
  }

  BatchStream stream_;
  std::unique_ptr<Adapter> adapter_;
  std::unique_ptr<Trainer> trainer_;
};

// Seconds of a forward pass of the first rows, including the logits of all tokens, computed in
// chunks.
double ForwardSeconds(const Model& model, const std::vector<Example>& examples,
                      const TrainBench& options) {
  constexpr int64_t kChunkElements = int64_t{1} << 22;
  const Stopwatch watch;
  MicroBatch micro;
  for (int64_t i = 0; i < options.batch_rows; ++i) {
    micro.rows.push_back(&examples[static_cast<size_t>(i)]);
    micro.order.push_back(i);
  }
  const LabelledBatch data = MakeLabelledBatch(micro);
  Context context{model.backend};
  const Tensor hidden = model.Hidden(context, {data.batch}).value;
  const int64_t chunk = std::max<int64_t>(1, kChunkElements / model.config.vocab);
  for (int64_t begin = 0; begin < hidden.rows(); begin += chunk)
    model.LogitsOf(context, nullptr,
                   hidden.RowRange(begin, std::min(chunk, hidden.rows() - begin)));
  return watch.seconds();
}

}  // namespace

BenchResult BenchTraining(Subject& subject, const Subject* teacher, const TrainBench& options,
                          const OnRepeat& on_repeat) {
  const Model& model = *subject.model;
  Backend& backend = *subject.backend;
  const std::vector<Example> examples =
      RandomExamples(options.batch_rows * (options.repeat + 1), options.tokens, model.config.vocab);
  CrossEntropyObjective plain;
  std::optional<OnlineDistillation> online;
  if (teacher) online.emplace(*teacher->model, nullptr, model, DistillationOptions{});
  Objective& objective = online ? static_cast<Objective&>(*online) : plain;
  Student timed(model, examples, options, objective);
  std::optional<Student> alone;
  if (teacher) alone.emplace(model, examples, options, plain);

  BenchResult result;
  result.tokens = options.batch_rows * options.tokens;
  const GemmPeak before = MeasureGemmPeak(subject.compute, backend.threads());
  on_repeat(0, options.repeat, 0);
  timed.StepSeconds();  // warm-up: allocates buffers, creates the library's kernels
  if (alone) alone->StepSeconds();
  std::vector<double> rates, overheads;
  for (int64_t i = 0; i < options.repeat; ++i) {
    const double seconds = timed.StepSeconds();
    rates.push_back(static_cast<double>(result.tokens) / seconds);
    if (alone) {
      const double parts =
          alone->StepSeconds() + ForwardSeconds(*teacher->model, examples, options);
      overheads.push_back(seconds / parts);
    }
    on_repeat(i + 1, options.repeat, rates.back());
  }
  result.tokens_per_second = SpreadOf(rates);
  if (alone) result.teacher_overhead = SpreadOf(overheads).median;
  result.peak_rss_bytes = PeakRssBytes();
  const GemmPeak peak = Higher(before, MeasureGemmPeak(subject.compute, backend.threads()));
  result.limit = peak.per_second;
  result.limit_by = peak.by;
  result.work_per_token = 4.0 * static_cast<double>(MatrixParameters(model.config));
  if (teacher)
    result.work_per_token += 2.0 * static_cast<double>(MatrixParameters(teacher->model->config));
  result.fraction_of_peak = result.work_per_token * result.tokens_per_second.median / result.limit;
  return result;
}

}  // namespace retort
