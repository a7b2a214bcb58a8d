// SPDX-License-Identifier: Apache-2.0
// Converts between an Architecture and a GGUF's metadata; shared by the files in families/.
#pragma once

#include <string>
#include <string_view>

#include "formats/gguf.h"
#include "model/spec/architecture.h"
#include "model/spec/numbers.h"

namespace retort {

// The keys of one GGUF architecture, "llama.block_count" and the like.
class GgufKeys : public NumberReader {
 public:
  explicit GgufKeys(const GgufFile& file);

  const std::string& architecture() const { return architecture_; }
  const std::string& where() const override { return file_.tensors.where(); }
  bool Has(std::string_view key) const override;  // "expert_count", without the architecture
  std::string Text(std::string_view key, std::string_view fallback) const;
  bool HasTensor(std::string_view name) const { return file_.tensors.Find(name) != nullptr; }
  // The same for tensor "blk.N.part".
  bool HasPart(int64_t layer, std::string_view part) const;

 private:
  int64_t AnyInt(std::string_view key) const override;
  double AnyNumber(std::string_view key) const override;
  std::string Spelt(std::string_view key) const override;

  const GgufFile& file_;
  std::string architecture_;
};

// Throws Error{kInput} for a key of the file's architecture that is not known, since it may change
// what the model computes, and for a known one with a value that is not supported.
void CheckGgufKeys(const GgufFile& file);

// Reads the keys that all families share. Biases, tied embeddings and q/k norms are inferred from
// the tensors present. `family` is left empty.
DenseConfig ReadDense(const GgufFile& file);

// Writes the same keys, as llama.cpp's converter writes them for most families. Throws
// Error{kInput} if the blocks' attention sizes differ.
void WriteDense(const Architecture& a, const std::string& where, GgufMetadata& metadata);

// vocab_size and rope.dimension_count, which llama.cpp's converter states for some architectures
// though they follow from others.
void WriteSizes(const Architecture& a, GgufMetadata& metadata);
// Takes away the width of heads and the rope's base where readers take what they are for granted:
// the converter does not state them for some architectures.
void EraseUsual(const Architecture& a, GgufMetadata& metadata);

// The scaling of a rope of `dims` dimensions, in keys and tensors.
RopeScaling ReadRopeScaling(const GgufFile& file, int64_t dims);
// Writes the keys. Throws Error{kInput} for a scaling that GGUF cannot express.
void WriteRopeScaling(const RopeSpec& rope, const std::string& architecture,
                      const std::string& where, GgufMetadata& metadata);
// The tensors that hold a rope's factors in a GGUF.
struct RopeTensor {
  std::string name;
  std::vector<float> values;
};
std::vector<RopeTensor> RopeTensors(const RopeSpec& rope);

// The value of GGUF's attention.sliding_window_pattern: every pattern-th layer (counted from 1) has
// no window and all others have one; 1 if no layer has a window. Throws Error{kInput} for any other
// arrangement.
int64_t SlidingPattern(const Architecture& a, const std::string& where);
// The inverse: attention.sliding_window_pattern of a file, or the usual one, as a flag per layer.
std::vector<bool> ReadSlidingPattern(const GgufKeys& keys, int64_t layers, int64_t usual);

// Throws Error{kInput} for an unknown architecture, and for keys as CheckGgufKeys does.
Architecture ConfigFromGguf(const GgufFile& file);
// Writes general.architecture and its keys. Throws Error{kInput} for traits that GGUF cannot
// express.
void ConfigToGguf(const Architecture& a, const std::string& where, GgufMetadata& metadata);

}  // namespace retort
