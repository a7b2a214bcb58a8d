// SPDX-License-Identifier: Apache-2.0
// Importance matrices in llama.cpp's two forms, the GGUF and the older .dat ("imatrix"): for each
// matrix of a model the mean square of every input, by which the formats of a GGUF weigh their
// errors.
#pragma once

#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "eval/input_squares.h"

namespace retort {

class Importance {
 public:
  Importance() = default;
  // A GGUF has tensors NAME.in_sum2 [inputs], or [experts, inputs], and NAME.counts [1], or
  // [experts]: the sum of squares and what it is divided by. Experts that saw nothing have the same
  // importance for all inputs. Any other file is read as a .dat: the number of matrices (all
  // numbers are 4 bytes), and for each its name (length, bytes), a divisor, the number of values
  // and the values, those of all experts in a row. Throws Error{kInput} for a file without such
  // tensors, a name with one of them, another type or shape, and numbers that are not finite or
  // below zero.
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
    int64_t experts = 1;        // 0: a .dat does not say
    std::vector<float> values;  // [experts, inputs]
  };
  void ReadDat(const Path& file);
  void ReadTensors(const Path& file);

  std::string where_;
  std::unordered_map<std::string, Entry> entries_;
};

struct ImportanceSource {
  std::string dataset;       // the file of the rows
  int64_t rows, row_tokens;  // and the length of the longest one
};

// Writes the matrices of the blocks under their names in a GGUF, without those that a GGUF splits
// (HeadSplit), whose parts have other inputs: a file whose name ends in ".dat" in the older form,
// any other as a GGUF. `inputs` by LinearId, of a model with that layout. Returns the number of
// matrices, all experts of a layer being one. Throws as AtomicFile does.
int64_t WriteImportance(const Layout& layout, const std::vector<InputSquares>& inputs,
                        const ImportanceSource& source, const Path& target);

}  // namespace retort
