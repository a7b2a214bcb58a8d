// SPDX-License-Identifier: Apache-2.0
// Importance matrices in llama.cpp's GGUF form ("imatrix"): for each matrix of a model the mean
// square of every input, by which the formats of a GGUF weigh their errors.
#pragma once

#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/file.h"

namespace retort {

class Importance {
 public:
  Importance() = default;
  // Tensors NAME.in_sum2 [inputs], or [experts, inputs], and NAME.counts [1], or [experts]: the sum
  // of squares and what it is divided by. Experts that saw nothing have the same importance for all
  // inputs. Throws Error{kInput} for a file without such tensors, a name with one of them, another
  // type or shape, and numbers that are not finite or below zero.
  static Importance Read(const Path& file);

  bool empty() const { return entries_.empty(); }
  size_t size() const { return entries_.size(); }
  const std::string& where() const { return where_; }  // the file

  // Of the inputs of the matrix with that name in a GGUF, and of that expert (0 without experts);
  // empty if the file does not have it. Throws Error{kInput} if it has other sizes.
  std::span<const float> Of(const std::string& gguf_name, int64_t expert, int64_t experts,
                            int64_t inputs) const;

 private:
  struct Entry {
    int64_t experts = 1;
    std::vector<float> values;  // [experts, inputs]
  };
  std::string where_;
  std::unordered_map<std::string, Entry> entries_;
};

}  // namespace retort
