// SPDX-License-Identifier: Apache-2.0
#include "tests/support/random_model.h"

#include <cmath>

#include "base/error.h"
#include "base/random.h"
#include "model/adapter_builder.h"
#include "tensor/quant/quant.h"

namespace retort {
namespace {

class Filler {
 public:
  Filler(uint64_t seed, Backend& backend, double spread)
      : random_(MakeKey(seed, RandomUse::kInit)), backend_(backend), spread_(spread) {}

  Weight Matrix(int64_t rows, int64_t cols) {
    const auto values = std::make_shared<std::vector<float>>(static_cast<size_t>(rows * cols));
    const double deviation = spread_ / std::sqrt(static_cast<double>(cols));
    for (float& v : *values) v = static_cast<float>(random_.Normal() * deviation);
    return Weight(WeightFormat::kF32, rows, cols, std::as_bytes(std::span(*values)), values);
  }
  Var Vector(int64_t size, double mean) {
    std::vector<float> values(static_cast<size_t>(size));
    for (float& v : values) v = static_cast<float>(mean + 0.1 * random_.Normal());
    return {backend_.FromFloats(values, {size})};
  }

 private:
  RandomStream random_;
  Backend& backend_;
  double spread_;
};

}  // namespace

DenseConfig SmallConfig(int64_t vocab) {
  DenseConfig c;
  c.family = "llama";
  c.layers = 2;
  c.width = 24;
  c.heads = 4;
  c.kv_heads = 2;
  c.head_dim = 6;
  c.ffn = 40;
  c.vocab = vocab;
  c.max_positions = 256;
  return c;
}

LinearId LinearNamed(const Layout& layout, std::string_view name) {
  for (size_t id = 0; id < layout.linears.size(); ++id) {
    if (layout.linears[id].name == name) return static_cast<LinearId>(id);
  }
  RETORT_CHECK(false, "no layer ", name);
}

std::unique_ptr<Model> RandomModel(const Architecture& config, uint64_t seed, Backend& backend,
                                   double spread, WeightFormat format) {
  auto model = std::make_unique<Model>(config, backend);
  Filler fill(seed, backend, spread);
  for (const TensorSpec& spec : model->layout.tensors) {
    if (spec.is_matrix()) {
      const Weight w = fill.Matrix(spec.shape[0], spec.shape[1]);
      const auto& linear = model->layout.linears[static_cast<size_t>(spec.target.id)];
      model->Set(spec.target,
                 linear.adaptable() && format != WeightFormat::kF32
                     ? Requantised(w, format, true, backend.host_memory(), backend.pool())
                     : w);
    } else {
      model->Set(spec.target,
                 fill.Vector(spec.elements(), spec.target.kind == Target::Kind::kGain));
    }
  }
  return model;
}

std::unique_ptr<Adapter> RandomAdapter(const AdapterConfig& config, const Model& model,
                                       uint64_t seed) {
  auto adapter =
      AdapterBuilder(config, model.layout, model.backend).Build(AdapterBuilder::For::kNew);
  RandomStream random(MakeKey(seed, RandomUse::kInit, 7));
  for (Parameter* p : adapter->parameters()) {
    const Shape shape = p->value.shape();
    const double mean = shape.rank() == 1 ? 1 : 0;
    std::vector<float> values(static_cast<size_t>(shape.elements()));
    for (float& v : values) v = static_cast<float>(mean + 0.1 * random.Normal());
    p->value = model.backend.FromFloats(values, shape);
  }
  return adapter;
}

}  // namespace retort
