// SPDX-License-Identifier: Apache-2.0
// Writes a base's tensors with an adapter merged into them, and counts what that changes.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/threads.h"
#include "export/merge.h"
#include "export/merged_weights.h"
#include "formats/safetensors.h"

namespace retort {

// The adapters of a merge with their weights, the first one first.
std::vector<WeightedAdapter> AllOf(const MergeOptions& options);

class Merger {
 public:
  // Searches the base for numbers that are not finite. `options`, whose `onto` is known, `record`
  // and the backend must outlive it.
  Merger(const MergeOptions& options, ModelFiles files, const BaseRecord& record, Backend& backend);

  // Writes every tensor of one of the base's files, merged, to `target`. Returns the names of those
  // that the base's file does not have.
  std::vector<std::string> WriteFile(const Path& source, const Path& target);
  // Whether the base's tensors are no folder's of plain values.
  bool IsMadeAnew() const { return files_.gguf || files_.quantised(); }
  // Writes such tensors, merged, as those of a folder.
  void WriteFolder(WeightFormat format, const Path& folder);

  // Whether embedding and head, which were one, are two after the merge.
  bool Unties() const { return merged_.Unties(); }
  // Of what has been written, without audit and notes.
  MergeReport Report() const;
  const ModelFiles& files() const { return files_; }
  bool HasZeroAdapter() const;

 private:
  // The rows of a file's tensor that belong to one linear layer: all rows, or a slice of stacked
  // experts.
  struct Part {
    LinearId layer;
    int64_t begin, rows;
  };
  // Sums over elements of W, s B A and the errors, for the report: squares, and the largest
  // |s B A|.
  struct Sums {
    double delta = 0, weight = 0, quantisation = 0, rounding = 0, largest = 0;
    double kept = 0;  // the product of s B A with the change that is stored
  };
  using Write = std::function<void(Bytes)>;

  void FindWhatChanges();
  bool IsCounted(const TensorSpec& spec) const;
  bool IsMerged(const TensorSpec& spec) const;
  std::vector<Part> WholeHead() const;
  const TensorSpec& TableSpec() const;
  const TensorEntry* NewHead() const;
  void WriteMatrixTo(SafetensorsWriter& writer, const TensorEntry& entry, const std::string& name,
                     const std::vector<Part>& parts);
  void WriteEntry(SafetensorsWriter& writer, const TensorEntry& entry);
  std::vector<std::byte> EncodedVector(const TensorSpec& spec, WeightFormat format) const;
  void WriteMatrix(const Weight& original, WeightFormat format, LinearId layer, const Write& write);
  void StoreRow(const Weight& original, WeightFormat format, int64_t row,
                std::span<const float> onto, std::span<const float> sum, std::byte* out);

  const MergeOptions& options_;
  const ModelFiles files_;
  const BaseRecord& record_;
  Backend& backend_;
  ThreadPool pool_;
  std::unique_ptr<Adapter> adapter_;
  const MergedWeights merged_;
  // What is computed anew: matrices, by the name of the tensor that holds them, in row order, and
  // biases and gains.
  std::map<std::string, std::vector<Part>> parts_;
  std::map<std::string, const TensorSpec*> vectors_;
  MergeReport report_;
  Sums total_;
};

}  // namespace retort
