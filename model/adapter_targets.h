// SPDX-License-Identifier: Apache-2.0
// Which linear layers of a model an adapter's configuration means.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/seeded_hash.h"
#include "model/adapter_config.h"
#include "model/layout.h"
#include "tokenizer/regex.h"

namespace retort {

// The name of the tensor as transformers keeps it, which may hold all experts' of a layer.
const std::string& ParameterOf(const TensorSpec& spec);
// Whether a member of AdapterConfig::parameters means it.
bool NamesParameter(const std::string& member, const std::string& parameter);

// Compiles the configuration's expressions once. They are Python's, as PEFT reads them: each must
// match a layer's whole name.
class AdapterTargets {
 public:
  // Throws Error{kInput} naming an expression that is not understood. `config` must outlive it.
  explicit AdapterTargets(const AdapterConfig& config);

  // These throw Error{kInput} if an expression takes too long.
  bool Has(const LinearSpec& linear);
  int64_t RankOf(const LinearSpec& linear);
  double AlphaOf(const LinearSpec& linear);
  // Throws Error{kInput} naming the first member of targets or exclude, or expression, that matches
  // no layer which may have an adapter, with those that are known; or a key of ranks or alphas that
  // matches no layer with an adapter. For new adapters: PEFT's folders may name layers that a model
  // does not have.
  void CheckAllMatch(const Layout& layout);

 private:
  using Suffixes = std::unordered_set<std::string_view, SeededTextHash>;

  template <class Number>
  using Patterns = std::vector<std::pair<WholeRegex, Number>>;
  template <class Number>
  void CheckPatterns(const char* key, Patterns<Number>& patterns, const Layout& layout);

  bool IsPartOfSaved(const std::string& name) const;

  const AdapterConfig& config_;
  Suffixes targets_, excluded_;
  std::unordered_set<int64_t> layers_;
  std::optional<WholeRegex> target_, exclude_;
  Patterns<int64_t> ranks_;
  Patterns<double> alphas_;
};

}  // namespace retort
