// SPDX-License-Identifier: Apache-2.0
// Model folders with random weights that are large enough to affect the logits, and helpers of the
// export tests.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "model/model_files.h"
#include "model/store/base_record.h"
#include "tests/formats/support.h"

namespace retort {

struct FolderOptions {
  WeightFormat weights = WeightFormat::kF32;  // f32 or bf16
  int shards = 1;
  bool head_only = false;  // a tied model that stores its head, as lm_head.weight, and no embedding
  uint64_t seed = 1;
};

// Two layers, two query heads a key head, a byte-level tokenizer of 300 ids.
DenseConfig FolderConfig(const std::string& family);
void MakeModelFolder(const Path& folder, const DenseConfig& config,
                     const FolderOptions& options = {});
// The same for any config.json.
void MakeModelFolder(const Path& folder, const Json& config, const FolderOptions& options = {});

// An adapter of rank 4 on every linear layer that `targets` matches, in PEFT's layout, large enough
// to change what the model says; with a retort.json unless the record is empty.
void MakeAdapterFolder(const Path& folder, const ModelFiles& base, const BaseRecord* record,
                       uint64_t seed = 5, const std::string& targets = "all-linear");

// Logits [T,V] in f32 of ids; the adapter may be null.
std::vector<float> LogitsOf(const Path& model, const std::vector<int32_t>& ids,
                            const Path& adapter = {});

double LargestDifference(const std::vector<float>& a, const std::vector<float>& b);

// The files of a folder, temporaries included.
std::vector<std::string> FilesIn(const Path& folder);

inline const std::vector<int32_t> kIds = {1,  250, 33, 32,  104, 299, 260, 7, 7,
                                          90, 101, 12, 200, 150, 3,   64,  65};

// Of name, type and bytes of every tensor, in the order of their names.
std::string ContentSum(const Path& gguf);

}  // namespace retort
