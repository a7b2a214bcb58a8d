// SPDX-License-Identifier: Apache-2.0
// An Architecture from a GGUF's metadata and into it: what the families' pages share.
#pragma once

#include <string>
#include <string_view>

#include "formats/gguf.h"
#include "model/spec/architecture.h"

namespace retort {

// The keys of one GGUF architecture, "llama.block_count" and the like.
class GgufKeys {
 public:
  explicit GgufKeys(const GgufFile& file);

  const std::string& architecture() const { return architecture_; }
  const std::string& where() const { return file_.tensors.where(); }
  bool Has(std::string_view key) const;  // "expert_count", without the architecture
  int64_t Int(std::string_view key) const;
  int64_t Int(std::string_view key, int64_t fallback) const;
  double Number(std::string_view key) const;
  double Number(std::string_view key, double fallback) const;
  bool HasTensor(std::string_view name) const { return file_.tensors.Find(name) != nullptr; }
  // Of a "blk.N." tensor.
  bool HasPart(int64_t layer, std::string_view part) const;

 private:
  std::string Key(std::string_view key) const;

  const GgufFile& file_;
  std::string architecture_;
};

// The keys that all families share; biases, ties and q/k norms by the tensors that are there. The
// family is left empty.
DenseConfig ReadDense(const GgufFile& file);

// The same keys of an architecture whose blocks have attention of one size. Throws Error{kInput}
// where they differ.
void WriteDense(const Architecture& a, const std::string& where, GgufMetadata& metadata);

// Layers with a window among layers without, every `pattern`-th (from 1) without: their number as
// GGUF's attention.sliding_window_pattern has it; 1 where no layer has one. Throws Error{kInput}
// for another order.
int64_t SlidingPattern(const Architecture& a, const std::string& where);

// Throws Error{kInput} for an architecture that is not known.
Architecture ConfigFromGguf(const GgufFile& file);
// general.architecture and its keys. Throws Error{kInput} for what GGUF has no place for.
void ConfigToGguf(const Architecture& a, const std::string& where, GgufMetadata& metadata);

}  // namespace retort
