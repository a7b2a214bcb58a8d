// SPDX-License-Identifier: Apache-2.0
// Timing of training, prefill and decoding as a user gets them: through the trainer and the
// runner's engine, on random tokens. Reported in tokens per second and as a fraction of the
// machine's limit.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "bench/machine.h"
#include "bench/timing.h"
#include "model/model.h"
#include "runner/engine/sampler.h"

namespace retort {

// The model to time: a model file, or random weights of a shape.
struct SubjectOptions {
  std::string model, shape;  // exactly one of them
  std::string weights;       // empty: the stored format, or bf16 for a shape
  std::string device = "auto", compute = "auto";
  int threads = 0;
  bool runner = true;     // prepare weights as the runner does, else as the trainer does
  int64_t positions = 1;  // tokens of the longest sequence; random models are made for this length
};
struct Subject {
  std::string name, weights;  // the file or shape; the format of the blocks' linear layers
  Compute compute;
  std::unique_ptr<Backend> backend;
  std::unique_ptr<Model> model;
};
// Throws Error{kInput} when not exactly one of model and shape is given, or a model has too few
// positions; also throws the errors of loading.
Subject OpenSubject(const SubjectOptions& options);

struct BenchResult {
  Spread tokens_per_second;     // over the repetitions
  int64_t tokens = 0;           // of one repetition
  int64_t peak_rss_bytes = 0;   // of the model and the timed work, before the limit is measured
  double fraction_of_peak = 0;  // the median divided by `limit`
  double limit = 0;             // operations (train, prefill) or bytes (decode) per second
  std::string limit_by;
  double work_per_token = 0;  // operations, or bytes
  // Only for training with a teacher, else 0: the time of a step with the teacher, divided by the
  // time of a step without it plus the teacher's forward pass alone. The median over the
  // repetitions, each of which times all three in turn.
  double teacher_overhead = 0;
  // Only for prefill, else 0: the fraction of peak without the head, which only the last token
  // needs.
  double fraction_of_peak_blocks = 0;
};

// Called before the first and after each repetition, with its tokens per second.
using OnRepeat = std::function<void(int64_t done, int64_t total, double tokens_per_second)>;

struct TrainBench {
  int64_t rank = 16;                     // of a LoRA adapter on all linear layers
  int64_t batch_rows = 4, tokens = 256;  // rows per step; tokens per row, all with loss
  int64_t repeat = 5;                    // timed steps, after one untimed step
  int64_t part_tokens = 512;             // TrainerOptions
};
// Times training steps. Counts 4 N operations per token (forward, and the gradient of activations
// through frozen weights), relative to the GEMM peak of the compute type; adapters, attention and
// recomputation are not counted. With a teacher (may be null) the step is one of online
// distillation (forward KL, weight 0.5), and the teacher's 2 N operations per token count as well.
BenchResult BenchTraining(Subject& subject, const Subject* teacher, const TrainBench& options,
                          const OnRepeat& on_repeat);

struct RunBench {
  int64_t sequences = 1, prompt = 512, gen = 128;  // tokens of each sequence
  DType cache_type = DType::kF32;
  int64_t repeat = 5;
  SamplingOptions sampling;
};
// Reads `sequences` prompts, 512 tokens per step, and samples one token of each. Counts 2 N
// operations per token, relative to the GEMM peak of the compute type.
BenchResult BenchPrefill(Subject& subject, const RunBench& options, const OnRepeat& on_repeat);
// Generates `gen` tokens of each sequence, all sequences together; reading the prompts is not
// timed. Counts the bytes read (weights and cache), relative to the bandwidth of sequential reads.
BenchResult BenchDecode(Subject& subject, const RunBench& options, const OnRepeat& on_repeat);

}  // namespace retort
