// SPDX-License-Identifier: Apache-2.0
// Flags and print functions that several commands share.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/json.h"
#include "grammar/source.h"
#include "model/adapter_sum.h"
#include "model/model.h"
#include "model/model_files.h"
#include "tokenizer/tokenizer.h"

namespace CLI {  // NOLINT: the library's own
class App;
class Option;
}  // namespace CLI

namespace retort {

// --device, --threads, --compute and, for commands that generate, --kv.
struct ComputeFlags {
  std::string device = "auto", compute = "auto", kv = "auto";
  int threads = 0;  // 0: all

  void Add(CLI::App& command, bool generates);
};

enum class OpenedFor { kScores, kText, kMuchText };

// --adapter of the commands that run a model, once or several times.
struct AdapterFlags {
  std::vector<std::string> given;

  CLI::Option* Add(CLI::App& command);
  std::vector<WeightedAdapter> adapters() const;
};

// A model ready to run: MODEL, with --adapter if given. Where MODEL is an adapter's folder, or that
// of the run that trained it, it stands for the adapter's base with it.
struct OpenedModel {
  ModelFiles files;
  Compute compute;  // Model::compute
  std::unique_ptr<Backend> backend;
  std::unique_ptr<Model> model;
  std::unique_ptr<Adapter> adapter;      // null without --adapter; else the sum of all
  Path chat_adapter;                     // the first one that records a chat template; or empty
  std::optional<GrammarSource> answers;  // the schema of its training; not read for kScores
  Path answers_folder;  // the adapter's or model's that carries it; empty: a file or several do
  std::unique_ptr<Tokenizer> tokenizer;  // null unless with_tokenizer
};
// use: kScores for losses and logits; kText and kMuchText for text, where compute "auto" means int8
// for block formats. For kMuchText, weights may also be copied into large pages (WorthCopying);
// only much text makes up for the time of copying. If the adapter was trained on an NF4 base, the
// base is converted to NF4, to which the adapter was fitted. Throws Error{kInput} when the adapter
// was trained on another base; notes what CheckAdapterBase notes. beside: folders of adapters that
// are to run on the same base, each by itself: they only count for its format.
OpenedModel OpenForRunning(const std::string& path, const std::vector<WeightedAdapter>& adapters,
                           const ComputeFlags& flags, OpenedFor use, bool with_tokenizer,
                           const std::vector<Path>& beside = {});
// Checks that an adapter's folder fits the base, and notes what CheckAdapterBase notes.
void CheckAdapter(const Path& folder, const ModelFiles& base, const ComputeFlags& flags);
// The adapter of a model that is open; notes if it changes nothing.
std::unique_ptr<Adapter> LoadAdaptersOf(const OpenedModel& opened,
                                        const std::vector<WeightedAdapter>& adapters);

// The type for --kv. "auto" is f32 if the model computes in f32, otherwise bf16.
DType CacheType(const std::string& flag, Compute compute);

// --threads of a command that computes; 0: all that this process may use.
void AddThreads(CLI::App& command, int& threads);

// The largest number that a flag for a count of rows, tokens or steps takes.
inline constexpr int64_t kMostCount = int64_t{1} << 30;

// These throw Error{kFailure} if standard output cannot be written.
void PrintJson(const Json& value);        // one line on standard output
void PrintLine(const std::string& text);  // a line on standard output
void CheckOutput();                       // for those who write to std::cout themselves

void Note(const std::string& text);  // a line on standard error

}  // namespace retort
