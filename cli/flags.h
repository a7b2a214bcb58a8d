// SPDX-License-Identifier: Apache-2.0
// Flags that several commands share, and how they print.
#pragma once

#include <memory>
#include <string>

#include "base/json.h"
#include "model/load.h"
#include "tokenizer/tokenizer.h"

namespace CLI {
class App;
}

namespace retort {

// --device, --threads, --compute and, for those that generate, --kv.
struct ComputeFlags {
  std::string device = "auto", compute = "auto", kv = "auto";
  int threads = 0;  // 0: all

  void Add(CLI::App& command, bool generates);
};

enum class OpenedFor { kScores, kText, kMuchText };

// A model ready to run: MODEL, and --adapter where there is one.
struct OpenedModel {
  ModelFiles files;
  Compute compute;  // Model::compute
  std::unique_ptr<Backend> backend;
  std::unique_ptr<Model> model;
  std::unique_ptr<Adapter> adapter;      // null without --adapter
  std::unique_ptr<Tokenizer> tokenizer;  // null when the command asked for none
};
// What for: scores (losses, logits), or text, where compute "auto" means int8 for block formats;
// much of it makes up for the time that copying the weights into large pages takes (WorthCopying).
// With an adapter that was trained on an NF4 base the base is held in NF4 too, which is what the
// adapter was fitted to.
OpenedModel OpenForRunning(const std::string& path, const std::string& adapter,
                           const ComputeFlags& flags, OpenedFor use, bool with_tokenizer);

// The type that --kv means: auto is f32 where the model computes in f32, else bf16.
DType CacheType(const std::string& flag, Compute compute);

void PrintJson(const Json& value);        // one line on standard output
void PrintLine(const std::string& text);  // a line on standard output
void Note(const std::string& text);       // a line on standard error

}  // namespace retort
