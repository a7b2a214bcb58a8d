// SPDX-License-Identifier: Apache-2.0
// Adapters (LoRA, arXiv 2106.09685, and what PEFT puts beside it): what is trained while a model's
// own weights stay frozen.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "autograd/ops.h"
#include "model/adapter_config.h"
#include "model/layout.h"

namespace retort {

class Model;
struct ModelFiles;
class TensorTable;

// s in W + s B A: alpha / rank, or alpha / sqrt(rank) with rsLoRA.
double LoraScale(double alpha, int64_t rank, bool rslora);

// The adapter of one linear layer W [out,in], or of the embedding [V,C]:
//   W' = W + s B A, less s B0 A0 if it began with a part of W;
//   with a magnitude, the rows of W' are brought to that norm (DoRA, arXiv 2402.09353).
struct AdapterSite {
  AdapterSite(const std::string& a_name, Tensor a_value, const std::string& b_name, Tensor b_value,
              float s)
      : AdapterSite(std::make_shared<Parameter>(a_name, std::move(a_value)), b_name,
                    std::move(b_value), s) {}
  // With an A that other sites may have too.
  AdapterSite(std::shared_ptr<Parameter> shared_a, const std::string& b_name, Tensor b_value,
              float s)
      : held_a(std::move(shared_a)), a(*held_a), b(b_name, std::move(b_value)), scale(s) {}

  const std::shared_ptr<Parameter> held_a;
  Parameter& a;  // [R,in]
  Parameter b;   // [out,R]
  float scale;
  int64_t rank = 0;
  // Of a tensor that is named (AdapterConfig::parameters), not of a module. An expert's gate and up
  // are parts of one tensor, so they share A.
  bool of_parameter = false;
  std::unique_ptr<Parameter> magnitude;  // [out], or null
  std::unique_ptr<Parameter> bias;       // [out], added times `scale`; or null
  Tensor start_a, minus_start_b;         // A0 and -B0 as A and B, or empty
  mutable Tensor norms;                  // of W's rows, computed when needed (Adapter::Changed)

  bool has_start() const { return static_cast<bool>(start_a); }
};

// A [R,in] and B [out,R] of all that is added to W: with A0 and -B0 below and beside them, if they
// are there.
struct WholeFactors {
  Tensor a, b;
};
WholeFactors WholeFactorsOf(const AdapterSite& site, Backend& backend);

// The norms of the rows of W', [out], which DoRA's magnitudes replace.
Tensor AdaptedNorms(const AdapterSite& site, const PreparedWeight& w, Backend& backend);

// Rows of the embedding, and of a head tied to it, or of a head, that are trained by themselves.
struct TrainedRows {
  TrainedRows(const std::string& name, Tensor values, std::vector<int32_t> tokens, Tensor on_device)
      : rows(name, std::move(values)), ids(std::move(tokens)), numbers(std::move(on_device)) {}

  Parameter rows;  // [N,C]
  std::vector<int32_t> ids;
  Tensor numbers;  // the same, i32 [N]
};

// A tensor of an adapter's file.
struct AdapterTensor {
  std::string key;  // PEFT's
  Parameter* parameter;
  Shape shape;  // of the parameter
  // kTransposed: PEFT stores the transpose. kAbove: the file may hold `start` below it, kBeside: to
  // its right, as a plain adapter of twice the rank does.
  // kExpertA, kExpertB: the file holds the factors of all experts (Experts).
  enum class Form { kPlain, kTransposed, kAbove, kBeside, kExpertA, kExpertB } form = Form::kPlain;
  Tensor start = {};
  double offset = 0;  // the file stores value - offset (TensorSpec::offset)
  // PEFT's factors of E stacked experts [E,out,in]: A [E R,in], rank by rank of the first expert,
  // then of the next; B [out,R E], expert by expert of the first rank, then of the next. Of B this
  // is `expert`'s, rows from `first_row` on.
  struct Experts {
    int64_t expert = 0, count = 0, first_row = 0, rows = 0;
  } experts = {};

  bool of_experts() const { return form == Form::kExpertA || form == Form::kExpertB; }
  // Of a tensor of rank 2: where the parameter's value [r,c] is in the file's matrix of `file_cols`
  // columns, and for those of experts that matrix's shape.
  int64_t PlaceInFile(int64_t r, int64_t c, int64_t file_cols) const;
  std::vector<int64_t> ShapeOfExperts() const;
};

// What an adapter may need of its base: `files` for initial values and for initialisations that are
// repeated, `model`, which holds the weights as they are used, for DoRA's magnitudes.
struct AdapterBase {
  const ModelFiles* files = nullptr;
  const Model* model = nullptr;
};

class Adapter {
 public:
  Adapter();

  // A new adapter that changes nothing yet. A layer's values depend only on the seed and the
  // layer's name (adapter_start.h). Throws Error{kInput} naming a target or an exclusion that
  // matches no module (AdapterTargets), or if no module is left.
  static std::unique_ptr<Adapter> Make(const AdapterConfig& config, const Layout& layout,
                                       uint64_t seed, Backend& backend,
                                       const AdapterBase& base = {});
  // Loads a folder in PEFT's layout; the keys may hold the adapter's name. Throws Error{kInput}
  // naming a tensor that is missing, extra or of the wrong shape, or a setting that is not
  // supported (ReadAdapterConfig).
  static std::unique_ptr<Adapter> Load(const Path& folder, const Layout& layout, Backend& backend,
                                       const AdapterBase& base = {});

  // From 1 on; no other adapter of this process has it, or will.
  int32_t number() const { return number_; }
  const AdapterConfig& config() const { return config_; }
  AdapterConfig& config() { return config_; }
  // Null if the layer has no adapter.
  AdapterSite* at(LinearId id) const { return sites_[static_cast<size_t>(id)].get(); }
  // The trained tensor in the place of the model's own (saved modules, biases), or null.
  Parameter* own_weight(LinearId id) const { return own_weights_[static_cast<size_t>(id)].get(); }
  Parameter* own_bias(LinearId id) const { return own_biases_[static_cast<size_t>(id)].get(); }
  Parameter* own_gain(GainId id) const { return own_gains_[static_cast<size_t>(id)].get(); }
  // Null if none of the layer's rows are trained by themselves.
  TrainedRows* rows(LinearId id) const;
  // Whether it changes the layer in any way.
  bool concerns(LinearId id) const { return at(id) || own_weight(id) || own_bias(id) || rows(id); }
  // Whether it has more than A and B.
  bool is_plain() const;

  // In a fixed order. Names are PEFT's keys without ".weight", for example
  // "base_model.model.model.layers.0.self_attn.q_proj.lora_A".
  std::vector<Parameter*> parameters() const;
  // The same in the form of PEFT's file.
  std::vector<AdapterTensor> tensors() const;
  // To be called when parameters have been given other values: norms are computed anew.
  void Changed() const;
  // Reads all values from a file of this adapter's tensors. Throws as Load does.
  void Read(const TensorTable& table, Backend& backend);

 private:
  friend class AdapterBuilder;
  friend class AdapterSum;

  const int32_t number_;
  AdapterConfig config_;
  std::vector<std::unique_ptr<AdapterSite>> sites_;                   // by LinearId
  std::vector<std::unique_ptr<Parameter>> own_weights_, own_biases_;  // by LinearId
  std::vector<std::unique_ptr<Parameter>> own_gains_;                 // by GainId
  std::unique_ptr<TrainedRows> embedding_rows_, head_rows_;
  LinearId embedding_ = kNone, head_ = kNone;
  bool tied_ = false;
  std::vector<AdapterTensor> tensors_;
};

}  // namespace retort
