// SPDX-License-Identifier: Apache-2.0
// Makes an adapter's tensors for the layers that its configuration means: zeros, or empty ones that
// a file is to fill.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "model/adapter.h"
#include "model/adapter_targets.h"

namespace retort {

class AdapterBuilder {
 public:
  // `where`: the file that states the configuration; empty: a recipe.
  AdapterBuilder(const AdapterConfig& config, const Layout& layout, Backend& backend,
                 std::string where = "");

  // A new adapter must find everything that is named; PEFT's folders may name layers that a model
  // does not have.
  enum class For { kNew, kFile };
  // Throws Error{kInput} for what does not fit the model or goes together with nothing.
  std::unique_ptr<Adapter> Build(For purpose);

 private:
  Tensor Begin(const Shape& shape) const;
  void AddSite(LinearId id);
  void AddEmbeddingSite(LinearId id);
  void AddParameters();
  void AddParameterSite(const TensorSpec& spec, bool inner);
  void AddSavedModules();
  void AddBiases();
  void AddRows(const std::string& module, const std::vector<int64_t>& ids);
  std::unique_ptr<Parameter> Own(const TensorSpec& spec, const std::string& key);
  void Put(const TensorSpec& spec, std::unique_ptr<Parameter> own);
  // The name of a key, as errors say it.
  std::string Key(const char* recipe, const char* file) const;
  void CheckLayersExist() const;

  const AdapterConfig& config_;
  const Layout& layout_;
  Backend& backend_;
  const std::string where_;
  AdapterTargets targets_;
  For purpose_ = For::kNew;
  std::unique_ptr<Adapter> out_;
  // The factors A of named tensors, by name and expert.
  std::map<std::pair<std::string, int64_t>, std::shared_ptr<Parameter>> parameter_a_;
};

}  // namespace retort
