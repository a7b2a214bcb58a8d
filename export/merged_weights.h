// SPDX-License-Identifier: Apache-2.0
// What an adapter makes of its base's tensors.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/adapter.h"
#include "model/model_files.h"

namespace retort {

class MergedWeights {
 public:
  // Both must outlive it. Throws Error{kInput} naming a bias beside B where the base has none.
  MergedWeights(const ModelFiles& files, const Adapter& adapter, Backend& backend);

  bool Changes(LinearId layer) const;
  // Whether it changes a bias or a gain.
  bool ChangesVector(const TensorSpec& spec) const;
  // Whether embedding and head are tied, and no longer after the merge: the head needs a tensor of
  // its own.
  bool Unties() const;

  // Changes rows [begin, begin + n) of a layer's matrix, whose values are given, to the merged
  // ones.
  void MergeRows(LinearId layer, int64_t begin, std::span<float> rows) const;
  // The same for a bias or a gain, as FetchVector gives it.
  void MergeVector(const TensorSpec& spec, std::span<float> values) const;

 private:
  void AddProduct(std::span<float> rows, int64_t begin, float scale, const Tensor& b,
                  const Tensor& a) const;

  const Layout& layout_;
  const Adapter& adapter_;
  Backend& backend_;
  const bool tied_;
};

}  // namespace retort
