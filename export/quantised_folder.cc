// SPDX-License-Identifier: Apache-2.0
#include "export/quantised_folder.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "export/folder_tensors.h"
#include "formats/packed_writer.h"
#include "model/stored_tensors.h"

namespace retort {
namespace {

std::string LayerOf(const TensorSpec& spec) {
  constexpr std::string_view kEnd = ".weight";
  RETORT_CHECK(spec.name.ends_with(kEnd), spec.name, " is no layer's weight");
  return spec.name.substr(0, spec.name.size() - kEnd.size());
}

class FolderQuantiser {
 public:
  FolderQuantiser(const ModelFiles& source, const QuantiseOptions& options, ThreadPool& pool)
      : source_(source), options_(options), pool_(pool) {
    for (const TensorSpec& spec : source.layout.tensors) {
      if (Wanted(spec) && options.method != FolderMethod::kInt8) CheckShape(spec);
      CheckFinite(source, spec, pool);
    }
  }

  bool Wanted(const TensorSpec& spec) const {
    const LinearSpec* linear = source_.layout.LinearOf(spec);
    return linear && linear->adaptable();
  }

  // The tensors of all matrices that are quantised.
  std::vector<FolderPart> Parts() {
    if (options_.method == FolderMethod::kInt8) {
      for (const TensorSpec& spec : source_.layout.tensors) {
        if (Wanted(spec)) Keep(Int8Parts(LayerOf(spec), FetchTensor(source_, spec, *memory_)));
      }
      return std::move(parts_);
    }
    const BlockRounding rounding = {
        .wanted = [&](const TensorSpec& spec) { return Wanted(spec); },
        .round =
            [&](const TensorSpec& spec, const Weight& w, const FeedbackFactor& factor) {
              const GroupIntegers made = RoundedToGroups(w, options_.kind, factor, pool_);
              Keep(options_.method == FolderMethod::kGptq ? GptqParts(LayerOf(spec), made)
                                                          : AwqParts(LayerOf(spec), made));
              return ValuesOf(made, *memory_);
            },
        .use = [](const TensorSpec&, const Weight&) {}};
    const Tuning& tuning = *options_.tuning;
    TuneBlocks(source_, tuning.examples, rounding, tuning.options, *tuning.model);
    return std::move(parts_);
  }

  Json Settings() const {
    std::vector<std::string> plain;
    for (const LinearSpec& linear : source_.layout.linears) {
      if (!linear.adaptable() && linear.use != LinearUse::kEmbedding) plain.push_back(linear.name);
    }
    if (options_.method == FolderMethod::kInt8) return Int8Settings(plain);
    return options_.method == FolderMethod::kGptq ? GptqSettings(options_.kind)
                                                  : AwqSettings(options_.kind, plain);
  }
  // By which the self-test knows how much may be lost.
  WeightFormat Like() const {
    const bool eight = options_.method == FolderMethod::kInt8 || options_.kind.bits == 8;
    return eight ? FormatNamed("q6_k") : WeightFormat::kQ4_0;
  }

 private:
  void CheckShape(const TensorSpec& spec) const {
    const int64_t rows = spec.shape[0], cols = spec.shape[1], group = options_.kind.group;
    // Outputs in words of AWQ's codes, and those of GPTQ that its kernels take at once.
    const int64_t step = options_.method == FolderMethod::kAwq ? 8 : 32;
    const std::string_view other = "--method nf4 or int8 takes any";
    if (cols % group != 0)
      throw InputError(spec.name, ": ", cols, " inputs do not divide into groups of ", group, "; ",
                       cols % 32 == 0 ? "use a smaller --group" : other);
    if (rows % step != 0)
      throw InputError(spec.name, ": ", rows, " outputs are no multiple of ", step, "; ", other);
  }
  void Keep(std::vector<FolderPart> parts) {
    for (FolderPart& part : parts) parts_.push_back(std::move(part));
  }

  const ModelFiles& source_;
  const QuantiseOptions& options_;
  ThreadPool& pool_;
  std::shared_ptr<Memory> memory_ = MakeHostMemory();
  std::vector<FolderPart> parts_;
};

void Declare(const FolderPart& part, ShardWriter& writer) {
  if (part.dtype == "F16" || part.dtype == "F32")
    writer.Declare(part.name, part.dtype == "F16" ? WeightFormat::kF16 : WeightFormat::kF32,
                   part.shape);
  else
    writer.DeclareIntegers(part.name, part.dtype, part.shape);
}

}  // namespace

void RefuseUnquantisable(const ModelFiles& source) {
  if (source.gguf || source.quantised())
    throw InputError(source.path.string(),
                     ": is quantised or a GGUF; quantise the folder that it was made of");
  if (std::ranges::any_of(source.layout.linears, [](const auto& l) { return l.expert >= 0; }))
    throw InputError(source.path.string(),
                     ": quantising a model with experts to a folder is not supported; retort "
                     "export makes a GGUF of it");
}

FolderExport QuantiseFolder(const ModelFiles& source, const Path& out,
                            const QuantiseOptions& options) {
  RefuseUnquantisable(source);
  ExportedFolder folder(source, out, options.threads);
  FolderQuantiser quantiser(source, options, folder.pool());
  const FolderTensors tensors(source, FolderFormat(source, "auto"), folder.pool());
  std::vector<std::string> notes = folder.WriteModel(tensors.plain(), quantiser.Settings());
  const std::vector<FolderPart> parts = quantiser.Parts();
  ShardWriter writer(folder.path());
  for (const TensorSpec& spec : source.layout.tensors) {
    if (!quantiser.Wanted(spec)) writer.Declare(spec.name, tensors.FormatOf(spec), spec.shape);
  }
  for (const FolderPart& part : parts) Declare(part, writer);
  for (const TensorSpec& spec : source.layout.tensors) {
    if (!quantiser.Wanted(spec)) tensors.Write(spec, writer);
  }
  for (const FolderPart& part : parts) writer.Write(part.name, part.bytes);
  writer.Commit();
  return folder.Commit(quantiser.Like(), std::move(notes));
}

}  // namespace retort
