// SPDX-License-Identifier: Apache-2.0
// retort init: writes a model folder with random weights.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "cli/commands.h"
#include "cli/flags.h"
#include "export/init_model.h"

namespace retort {
namespace {

struct InitFlags {
  std::string shape, out, weights = "f32", tokenizer;
  uint64_t seed = 1;
  int64_t positions = 0;
  bool tied = false;
};

void Run(const InitFlags& flags) {
  InitOptions options;
  options.config = ShapeNamed(flags.shape);
  options.config.tied = options.config.tied || flags.tied;
  if (flags.positions > 0) options.config.max_positions = flags.positions;
  options.weights = FormatNamed(flags.weights);
  if (options.weights != WeightFormat::kF32 && options.weights != WeightFormat::kBF16) {
    throw InputError("--weights '", flags.weights, "': a model is made in f32 or bf16");
  }
  options.seed = flags.seed;
  options.tokenizer = flags.tokenizer;
  WriteInitialModel(flags.out, options);
  PrintLine(Cat(flags.out, ": ", options.config.layers, " layers, width ", options.config.width,
                ", vocabulary ", options.config.vocab, ", random ", flags.weights));
}

}  // namespace

void AddInit(CLI::App& app) {
  CLI::App* command = app.add_subcommand("init", "Make a model folder with random weights");
  auto flags = std::make_shared<InitFlags>();
  command
      ->add_option(
          "--shape", flags->shape,
          "smollm2-135m, llama3.2-1b, llama3.1-8b, llama3.1-70b, qwen3-0.6b, -1.7b, -4b, -8b, or L,D,H,KV,F,V")
      ->required();
  command->add_option("--out", flags->out, "folder to make")->required();
  command->add_option("--weights", flags->weights, "f32 or bf16");
  command->add_option("--tokenizer", flags->tokenizer,
                      "folder whose tokenizer is copied (default: a new tokenizer of bytes)");
  command->add_option("--seed", flags->seed, "of the random weights");
  command
      ->add_option("--positions", flags->positions, "longest text in tokens (0: the shape's own)")
      ->check(CLI::Range(int64_t{0}, kMostCount));
  command->add_flag("--tied", flags->tied, "the head is the embedding");
  command->callback([flags] { Run(*flags); });
}

}  // namespace retort
