// SPDX-License-Identifier: Apache-2.0
#include "model/adapter_builder.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "base/text.h"

namespace retort {
namespace {

constexpr std::string_view kPeftPrefix = "base_model.model.";

// "model.norm" of "model.norm.weight"
std::string ModuleOfTensor(const TensorSpec& spec) {
  const size_t dot = spec.name.rfind('.');
  const std::string_view last = std::string_view(spec.name).substr(dot + 1);
  return last == "weight" || last == "bias" ? spec.name.substr(0, dot) : spec.name;
}

// "model.layers.0.mlp.experts" of "model.layers.0.mlp.experts.down_proj"
std::string ModuleOfParameter(const std::string& name) { return name.substr(0, name.rfind('.')); }

// Whether the module or one that it is part of has a name with one of these ends.
bool IsInModule(const std::string& module, const std::string& member) {
  for (size_t end = module.size(); end != std::string::npos && end > 0;
       end = module.rfind('.', end - 1)) {
    if (std::string_view(module).substr(0, end).ends_with(member)) return true;
  }
  return false;
}

// Each of its patterns and modules is compared with every name of the model.
const AdapterConfig& Bounded(const AdapterConfig& c, const Layout& layout,
                             const std::string& where) {
  constexpr size_t kMost = size_t{1} << 24;
  const size_t members =
      c.ranks.size() + c.alphas.size() + c.saved_modules.size() + c.parameters.size();
  const size_t names = layout.linears.size() + layout.tensors.size();
  if (members <= kMost / std::max<size_t>(1, names)) return c;
  throw InputError(where.empty() ? "adapter" : where, ": has ", members,
                   " patterns and modules to save, too many for a model of ", names,
                   " layers and tensors; name them by expressions or their last parts");
}

}  // namespace

AdapterBuilder::AdapterBuilder(const AdapterConfig& config, const Layout& layout, Backend& backend,
                               std::string where)
    : config_(config),
      layout_(layout),
      backend_(backend),
      where_(std::move(where)),
      targets_(Bounded(config, layout, where_)) {}

std::string AdapterBuilder::Key(const char* recipe, const char* file) const {
  return where_.empty() ? Cat("adapter.", recipe) : Cat(where_, ": '", file, "'");
}

void AdapterBuilder::CheckLayersExist() const {
  int64_t layers = 0;
  for (const LinearSpec& linear : layout_.linears) layers = std::max(layers, linear.layer + 1);
  for (const int64_t layer : config_.layers) {
    if (layer < layers) continue;
    throw InputError(Key("layers", "layers_to_transform"), " names layer ", layer,
                     ", and this model has ", layers, ", numbered from 0");
  }
}

// What is read from a file is allocated when its shape was compared with the file's.
Tensor AdapterBuilder::Begin(const Shape& shape) const {
  return purpose_ == For::kNew ? backend_.Zeros(shape) : Tensor();
}

std::unique_ptr<Adapter> AdapterBuilder::Build(For purpose) {
  purpose_ = purpose;
  if (purpose == For::kNew) targets_.CheckAllMatch(layout_);
  CheckLayersExist();
  out_ = std::make_unique<Adapter>();
  out_->config_ = config_;
  out_->embedding_ = layout_.embedding;
  out_->head_ = layout_.head;
  out_->tied_ = std::ranges::none_of(layout_.tensors, [&](const TensorSpec& spec) {
    return spec.is_matrix() && spec.target.id == layout_.head;
  });
  out_->sites_.resize(layout_.linears.size());
  out_->own_weights_.resize(layout_.linears.size());
  out_->own_biases_.resize(layout_.linears.size());
  out_->own_gains_.resize(layout_.gains.size());
  for (size_t id = 0; id < layout_.linears.size(); ++id) {
    if (!targets_.Has(layout_.linears[id])) continue;
    const bool table = static_cast<LinearId>(id) == layout_.embedding;
    table ? AddEmbeddingSite(static_cast<LinearId>(id)) : AddSite(static_cast<LinearId>(id));
  }
  AddParameters();
  AddSavedModules();
  AddBiases();
  for (const auto& [module, ids] : config_.tokens) AddRows(module, ids);
  return std::move(out_);
}

void AdapterBuilder::AddSite(LinearId id) {
  const LinearSpec& linear = layout_.of(id);
  const int64_t rank = targets_.RankOf(linear);
  const std::string name = Cat(kPeftPrefix, linear.name);
  auto site = std::make_unique<AdapterSite>(
      name + ".lora_A", Begin({rank, linear.cols}), name + ".lora_B", Begin({linear.rows, rank}),
      static_cast<float>(LoraScale(targets_.AlphaOf(linear), rank, config_.rslora)));
  auto& tensors = out_->tensors_;
  site->rank = rank;
  tensors.push_back({site->a.name + ".weight", &site->a, {rank, linear.cols}});
  tensors.push_back({site->b.name + ".weight", &site->b, {linear.rows, rank}});
  const auto add = [&](const char* end, std::unique_ptr<Parameter>& to) {
    to = std::make_unique<Parameter>(name + end, Begin({linear.rows}));
    tensors.push_back({to->name, to.get(), {linear.rows}});
  };
  if (config_.dora) add(".lora_magnitude_vector", site->magnitude);
  if (config_.lora_bias) add(".lora_B.bias", site->bias);
  out_->sites_[static_cast<size_t>(id)] = std::move(site);
}

// PEFT wraps a module once for each of its tensors, in their order, and the inner wrapper is the
// outer one's base layer.
void AdapterBuilder::AddParameters() {
  std::set<std::string> found;
  const auto named = [&](const TensorSpec& spec) {
    const LinearSpec* linear = layout_.LinearOf(spec);
    const bool stacked = spec.expert >= 0 && !spec.stacked.name.empty();
    if (!stacked && !(linear && linear->use == LinearUse::kRouter)) return false;
    bool any = false;
    for (const std::string& member : config_.parameters) {
      if (!NamesParameter(member, ParameterOf(spec))) continue;
      found.insert(member);
      any = true;
    }
    return any;
  };
  std::map<std::string, std::string> outermost;  // of a module: the last of its tensors
  for (const TensorSpec& spec : layout_.tensors) {
    if (named(spec)) outermost[ModuleOfParameter(ParameterOf(spec))] = ParameterOf(spec);
  }
  for (const TensorSpec& spec : layout_.tensors) {
    if (named(spec))
      AddParameterSite(spec, outermost[ModuleOfParameter(ParameterOf(spec))] != ParameterOf(spec));
  }
  for (const std::string& member : config_.parameters) {
    if (!found.contains(member))
      throw InputError(Key("target_parameters", "target_parameters"), ": ", Quoted(member),
                       " is no tensor of stacked experts or a router of this model");
  }
}

void AdapterBuilder::AddParameterSite(const TensorSpec& spec, bool inner) {
  const auto id = static_cast<size_t>(spec.target.id);
  const LinearSpec& linear = layout_.linears[id];
  if (out_->sites_[id] || config_.dora || config_.lora_bias || TakesPartOfBase(config_.start))
    throw InputError(
        Key("target_parameters", "target_parameters"), " of ", linear.name,
        " stands beside what it does not go together with: a module of the same name as "
        "target, DoRA, lora_bias, PiSSA or OLoRA");
  if (purpose_ == For::kNew && config_.dropout > 0)
    throw InputError(Key("target_parameters", "target_parameters"),
                     " and adapter.dropout do not go together: the change of a tensor has no input "
                     "to leave values out of; leave adapter.dropout out");
  LinearSpec parameter = linear;
  parameter.name = ParameterOf(spec);
  const int64_t rank = targets_.RankOf(parameter);
  auto& a = parameter_a_[{parameter.name, spec.expert}];
  const bool first = !a;
  if (first) {
    a = std::make_shared<Parameter>(Cat(kPeftPrefix, linear.name, ".lora_A"),
                                    Begin({rank, linear.cols}));
  }
  auto site = std::make_unique<AdapterSite>(
      a, Cat(kPeftPrefix, linear.name, ".lora_B"), Begin({linear.rows, rank}),
      static_cast<float>(LoraScale(targets_.AlphaOf(parameter), rank, config_.rslora)));
  const std::string key =
      Cat(kPeftPrefix, ModuleOfParameter(parameter.name), inner ? ".base_layer" : "");
  AdapterTensor::Experts place{0, 1, 0, linear.rows};  // a router is as one expert
  if (spec.expert >= 0) {
    const int64_t rows = spec.stacked.shape[1];
    place = {spec.expert, spec.experts, spec.stacked.begin % rows, rows};
  }
  site->rank = rank;
  site->of_parameter = true;
  if (first) {
    out_->tensors_.push_back({.key = key + ".lora_A.weight",
                              .parameter = &site->a,
                              .shape = {rank, linear.cols},
                              .form = AdapterTensor::Form::kExpertA,
                              .experts = place});
  }
  out_->tensors_.push_back({.key = key + ".lora_B.weight",
                            .parameter = &site->b,
                            .shape = {linear.rows, rank},
                            .form = AdapterTensor::Form::kExpertB,
                            .experts = place});
  out_->sites_[id] = std::move(site);
}

// The rows of V W' are those of A^T in PEFT's words: its A is B transposed here, and its B is A.
void AdapterBuilder::AddEmbeddingSite(LinearId id) {
  const LinearSpec& table = layout_.of(id);
  const auto refuse = [&](bool set, const char* recipe, const char* file) {
    if (set)
      throw InputError(Key(recipe, file),
                       " is not supported for an embedding as target: ", table.name);
  };
  refuse(config_.dora, "dora", "use_dora");
  refuse(config_.lora_bias, "lora_bias", "lora_bias");
  refuse(TakesPartOfBase(config_.start), "initialise", "init_lora_weights");
  const int64_t rank = targets_.RankOf(table);
  const std::string name = Cat(kPeftPrefix, table.name);
  auto site = std::make_unique<AdapterSite>(
      name + ".lora_embedding_B", Begin({rank, table.cols}), name + ".lora_embedding_A",
      Begin({table.rows, rank}),
      static_cast<float>(LoraScale(targets_.AlphaOf(table), rank, config_.rslora)));
  site->rank = rank;
  constexpr auto kTurned = AdapterTensor::Form::kTransposed;
  out_->tensors_.push_back({site->b.name, &site->b, {table.rows, rank}, kTurned});
  out_->tensors_.push_back({site->a.name, &site->a, {rank, table.cols}, kTurned});
  out_->sites_[static_cast<size_t>(id)] = std::move(site);
}

std::unique_ptr<Parameter> AdapterBuilder::Own(const TensorSpec& spec, const std::string& key) {
  const bool matrix = spec.shape.size() == 2;
  const Shape shape = matrix ? Shape{spec.shape[0], spec.shape[1]} : Shape{spec.elements()};
  auto own = std::make_unique<Parameter>(key, Begin(shape));
  out_->tensors_.push_back(
      {.key = key, .parameter = own.get(), .shape = shape, .offset = spec.offset});
  return own;
}

void AdapterBuilder::Put(const TensorSpec& spec, std::unique_ptr<Parameter> own) {
  const auto id = static_cast<size_t>(spec.target.id);
  if (spec.target.kind == Target::Kind::kLinear) out_->own_weights_[id] = std::move(own);
  if (spec.target.kind == Target::Kind::kBias) out_->own_biases_[id] = std::move(own);
  if (spec.target.kind == Target::Kind::kGain) out_->own_gains_[id] = std::move(own);
}

void AdapterBuilder::AddSavedModules() {
  std::set<std::string> found;
  const auto saved = [&](const std::string& module) {
    bool any = false;
    for (const std::string& member : config_.saved_modules) {
      if (!IsInModule(module, member)) continue;
      found.insert(member);
      any = true;
    }
    return any;
  };
  for (const TensorSpec& spec : layout_.tensors) {
    if (!saved(ModuleOfTensor(spec))) continue;
    if (spec.expert >= 0) {
      throw InputError(Key("modules_to_save", "modules_to_save"), " names ", ModuleOfTensor(spec),
                       "; experts cannot be trained whole beside an adapter");
    }
    Put(spec, Own(spec, Cat(kPeftPrefix, spec.name)));
  }
  // A copy of a tied head is trained without the embedding.
  const LinearSpec& head = layout_.of(layout_.head);
  if (out_->tied_ && saved(head.name)) {
    const TensorSpec spec{.name = head.name + ".weight",
                          .shape = {head.rows, head.cols},
                          .target = {Target::Kind::kLinear, layout_.head}};
    Put(spec, Own(spec, Cat(kPeftPrefix, spec.name)));
  }
  for (const std::string& member : config_.saved_modules) {
    if (!found.contains(member)) {
      throw InputError(Key("modules_to_save", "modules_to_save"), ": ", Quoted(member),
                       " is no module of this model; such are ", head.name, ", ",
                       layout_.of(layout_.embedding).name, " and norms");
    }
  }
}

// As PEFT: what has "bias" in its name, or the biases of layers with an adapter.
void AdapterBuilder::AddBiases() {
  if (config_.bias == "none") return;
  bool any = false;
  for (const TensorSpec& spec : layout_.tensors) {
    const bool of_linear = spec.target.kind == Target::Kind::kBias;
    const bool adapted = of_linear && out_->at(spec.target.id);
    const bool wanted =
        config_.bias == "all" ? spec.name.find("bias") != std::string::npos : adapted;
    any |= wanted;
    if (!wanted || (of_linear && out_->own_bias(spec.target.id)) ||
        (!of_linear && (spec.is_matrix() || out_->own_gain(spec.target.id))))
      continue;
    const std::string module = ModuleOfTensor(spec);
    Put(spec, Own(spec, adapted ? Cat(kPeftPrefix, module, ".base_layer.bias")
                                : Cat(kPeftPrefix, spec.name)));
  }
  if (!any && purpose_ == For::kNew)
    throw InputError(Key("bias", "bias"), " is ", config_.bias, ", and ",
                     config_.bias == "all" ? "this model" : "no layer with an adapter",
                     config_.bias == "all" ? " has no biases" : " has a bias", "; leave it out");
}

void AdapterBuilder::AddRows(const std::string& module, const std::vector<int64_t>& ids) {
  const std::string key = Key("trainable_tokens", "trainable_token_indices");
  LinearId id = layout_.embedding;
  const auto is = [&](LinearId layer) { return IsInModule(layout_.of(layer).name, module); };
  if (!module.empty() && !is(id)) {
    if (!is(layout_.head))
      throw InputError(key, ": ", Quoted(module), " is not the embedding or the head, ",
                       layout_.of(id).name, " or ", layout_.of(layout_.head).name);
    if (out_->tied_)
      throw InputError(key, " names the head, which is the embedding's; name ",
                       layout_.of(layout_.embedding).name);
    id = layout_.head;
  }
  const LinearSpec& layer = layout_.of(id);
  for (const LinearId taken : {id, out_->tied_ ? layout_.head : id}) {
    if (out_->at(taken) || out_->own_weight(taken))
      throw InputError(key, ": ", layout_.of(taken).name,
                       " is trained otherwise too; keep one of them");
  }
  std::set<int64_t> seen;
  std::vector<int32_t> numbers;
  for (const int64_t token : ids) {
    if (token < 0 || token >= layer.rows)
      throw InputError(key, " names id ", token, "; this model has ", layer.rows);
    if (!seen.insert(token).second) throw InputError(key, " names id ", token, " twice");
    numbers.push_back(static_cast<int32_t>(token));
  }
  if (numbers.empty()) return;
  const Shape shape{std::ssize(numbers), layer.cols};
  auto rows = std::make_unique<TrainedRows>(
      Cat(kPeftPrefix, layer.name, ".token_adapter.trainable_tokens_delta"), Begin(shape), numbers,
      backend_.Upload(numbers));
  out_->tensors_.push_back({rows->rows.name, &rows->rows, shape});
  (id == layout_.embedding ? out_->embedding_rows_ : out_->head_rows_) = std::move(rows);
}

}  // namespace retort
