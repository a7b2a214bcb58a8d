// SPDX-License-Identifier: Apache-2.0
// Timing of training, prefill and decoding as a user gets them: through the trainer and the
// runner's engine, on random tokens, as tokens a second and as a share of the machine's limit.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "bench/machine.h"
#include "bench/timing.h"
#include "model/model.h"
#include "runner/sampler.h"

namespace retort {

// What is timed: a model file, or random weights of a shape.
struct SubjectOptions {
  std::string model, shape;  // exactly one of them
  std::string weights;       // empty: as stored; of a shape bf16
  std::string device = "auto", compute = "auto";
  int threads = 0;
  bool runner = true;     // compute auto: as the runner, else as the trainer resolves it
  int64_t positions = 1;  // tokens of the longest sequence; random weights are given them
};
struct Subject {
  std::string name, weights;  // the file or shape; the format of the blocks' linear layers
  Compute compute;
  std::unique_ptr<Backend> backend;
  std::unique_ptr<Model> model;
};
// Throws Error{kInput} when not exactly one of model and shape is given, or a model has too few
// positions, and what loading throws.
Subject OpenSubject(const SubjectOptions& options);

struct BenchResult {
  Spread tokens_per_second;     // over the repetitions
  int64_t tokens = 0;           // of one repetition
  int64_t peak_rss_bytes = 0;   // the model and the work; taken before the limit is measured
  double fraction_of_peak = 0;  // the median's share of `limit`
  double limit = 0;             // operations (train, prefill) or bytes (decode) a second
  std::string limit_by;
  double work_per_token = 0;  // operations, or bytes
  // Training with a teacher alone, else 0: a step with it over a step without it and the teacher's
  // forward pass by itself, the median of the repetitions, each of which times all three in turn.
  double teacher_overhead = 0;
  // Prefill alone, else 0: the share without the head, which only the last token needs.
  double fraction_of_peak_blocks = 0;
};

// Called before the first and after each repetition, with its tokens a second.
using OnRepeat = std::function<void(int64_t done, int64_t total, double tokens_per_second)>;

struct TrainBench {
  int64_t rank = 16;                     // of a LoRA adapter on all linear layers
  int64_t batch_rows = 4, tokens = 256;  // rows of a step; tokens of a row, all of which carry loss
  int64_t repeat = 5;                    // steps that are timed, after one that is not
  int64_t part_tokens = 512;             // TrainerOptions
};
// With a teacher (may be null) its 2 N operations a token count as well, and what is timed is a
// step of online distillation (forward KL, weight 0.5). 4 N operations a token (forward and the
// gradient of activations through frozen weights), over the GEMM peak of the compute type. No
// credit for adapters, attention and recomputation.
BenchResult BenchTraining(Subject& subject, const Subject* teacher, const TrainBench& options,
                          const OnRepeat& on_repeat);

struct RunBench {
  int64_t sequences = 1, prompt = 512, gen = 128;  // tokens of each sequence
  DType cache_type = DType::kF32;
  int64_t repeat = 5;
  SamplingOptions sampling;
};
// Reads `sequences` prompts, 512 tokens a step, and samples one token of each. 2 N operations a
// token over the GEMM peak of the compute type.
BenchResult BenchPrefill(Subject& subject, const RunBench& options, const OnRepeat& on_repeat);
// Generates `gen` tokens of each sequence, all sequences together; reading the prompts is
// not timed. Bytes read (weights and cache) over the bandwidth of sequential reads.
BenchResult BenchDecode(Subject& subject, const RunBench& options, const OnRepeat& on_repeat);

}  // namespace retort
