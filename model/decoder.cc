// SPDX-License-Identifier: Apache-2.0
// The transformer decoder: embeddings, blocks, norm, head. Families differ in data (Architecture)
// and modules.
#include <algorithm>
#include <array>
#include <cmath>
#include <unordered_map>

#include "base/error.h"
#include "model/model.h"
#include "model/modules/linear.h"

namespace retort {
namespace {

// The maximum number of ropes of a model; a fixed array of them needs no allocation in a pass.
constexpr size_t kMostRopes = 4;

DeviceBatch Uploaded(Backend& backend, const ForwardPass& pass) {
  const Batch& batch = pass.batch;
  DeviceBatch out{backend.Upload(batch.ids), backend.Upload(batch.positions), {}, {}, {},
                  backend.Plan(batch.layout)};
  if (pass.dropout_seed != 0 || pass.noise > 0) {
    out.row_index = backend.Upload(batch.row_index);
    out.row_token = backend.Upload(batch.row_token);
  }
  if (pass.cache) out.cache_rows = backend.Upload(pass.cache->rows);
  return out;
}

UniformNoise NoiseOf(const ForwardPass& pass, int64_t width, Backend& backend) {
  std::vector<float> amplitude(pass.batch.ids.size());
  for (const AttentionRun& run : pass.batch.layout.runs) {
    const auto values = static_cast<double>(pass.batch.LengthOf(run) * width);
    std::fill_n(amplitude.begin() + run.first_query, run.queries,
                static_cast<float>(pass.noise / std::sqrt(values)));
  }
  return {pass.noise_seed, pass.on_device.row_index, pass.on_device.row_token,
          backend.Upload(amplitude)};
}

// The head looks at no tokens.
const Batch& NoTokens() {
  static const Batch none;
  return none;
}

// Where a batch's tokens are among those with rows of their own.
struct TokenPlaces {
  std::vector<int32_t> tokens, rows;  // places in the batch, and the rows there
};

TokenPlaces PlacesOf(std::span<const int32_t> ids, const std::vector<int32_t>& own) {
  std::unordered_map<int32_t, int32_t> row_of;
  for (size_t i = 0; i < own.size(); ++i) row_of[own[i]] = static_cast<int32_t>(i);
  TokenPlaces out;
  for (size_t t = 0; t < ids.size(); ++t) {
    const auto found = row_of.find(ids[t]);
    if (found == row_of.end()) continue;
    out.tokens.push_back(static_cast<int32_t>(t));
    out.rows.push_back(found->second);
  }
  return out;
}

}  // namespace

Model::Model(Architecture architecture, Backend& kernels)
    : config(std::move(architecture)), backend(kernels) {
  layout = MakeModules(config, blocks_);
  gains.resize(layout.gains.size());
  linears.resize(layout.linears.size());
  RETORT_CHECK(config.ropes.size() <= kMostRopes, config.ropes.size(), " ropes");
  for (const RopeSpec& rope : config.ropes)
    frequencies_.push_back(backend.Upload(RopeFrequencies(rope)));
}

PassContext Model::ContextOf(Context& context, const ForwardPass& pass,
                             std::span<const ops::RotaryAngles> angles) const {
  return {context, pass, pass.adapters, layout, linears, gains, angles, config.norm.kind};
}

Var Model::TableRows(Context& context, const Adapter* adapter, const Tensor& ids) const {
  const LinearId id = layout.embedding;
  const ForwardPass pass{NoTokens(), adapter};
  const PassContext run = ContextOf(context, pass, {});
  if (const Var table = run.trained(id); table.value) return ops::Embedding(context, table, ids);
  AdapterSite* site = run.site(id);
  if (!site) return ops::Embedding(context, run.linear(id).frozen(), ids);
  const ops::LowRank low_rank{site->a.var(), site->b.var(), site->scale, {}};
  return ops::Embedding(context, run.linear(id).frozen(), ids, &low_rank);
}

Var Model::EmbedWith(Context& context, const Adapter* adapter, std::span<const int32_t> given,
                     const Tensor& ids) const {
  Var x = TableRows(context, adapter, ids);
  if (TrainedRows* trained = adapter ? adapter->rows(layout.embedding) : nullptr) {
    const TokenPlaces places = PlacesOf(given, trained->ids);
    if (!places.tokens.empty()) {
      const Var own = ops::Gather(context, trained->rows.var(), backend.Upload(places.rows));
      x = ops::ReplaceRows(context, x, own, backend.Upload(places.tokens));
    }
  }
  return config.embedding_scale == 1
             ? x
             : ops::Scale(context, x, static_cast<float>(config.embedding_scale));
}

Var Model::Embed(Context& context, const RowAdapters& adapters, const Batch& batch,
                 const Tensor& ids) const {
  if (!adapters.mixed()) return EmbedWith(context, adapters.one(), batch.ids, ids);
  Var x = EmbedWith(context, nullptr, batch.ids, ids);
  for (const auto& [adapter, first, count] : adapters.ranges()) {
    if (!adapter || !adapter->concerns(layout.embedding)) continue;
    const auto given =
        std::span(batch.ids).subspan(static_cast<size_t>(first), static_cast<size_t>(count));
    Tensor own = x.value.RowRange(first, count);
    backend.CopyColumns(EmbedWith(context, adapter, given, ids.Part(first, count)).value, 0, own);
  }
  return x;
}

// Where a sequence's length changes the frequencies, each run has its own.
ops::RotaryAngles Model::Angles(size_t rope, const ForwardPass& pass) const {
  const RopeSpec& spec = config.ropes[rope];
  const Tensor& positions = pass.on_device.positions;
  const Shape shape{positions.elements(), frequencies_[rope].elements()};
  ops::RotaryAngles angles{backend.New(shape), backend.New(shape)};
  const double amplitude = spec.scaling.amplitude;
  if (!spec.scaling.by_length()) {
    backend.RotaryTable(positions, frequencies_[rope], amplitude, angles.cos, angles.sin);
    return angles;
  }
  for (const AttentionRun& run : pass.batch.layout.runs) {
    const Tensor frequencies = backend.Upload(RopeFrequencies(spec, pass.batch.LengthOf(run)));
    Tensor cos = angles.cos.RowRange(run.first_query, run.queries),
           sin = angles.sin.RowRange(run.first_query, run.queries);
    backend.RotaryTable(positions.Part(run.first_query, run.queries), frequencies, amplitude, cos,
                        sin);
  }
  return angles;
}

// The pass with what all of its blocks need.
class Model::Prepared {
 public:
  Prepared(const Model& model, Context& context, const ForwardPass& pass)
      : model_(model), context_(context), pass_(pass) {
    pass_.on_device = Uploaded(model.backend, pass);
    for (size_t i = 0; i < model.frequencies_.size(); ++i) angles_[i] = model.Angles(i, pass_);
  }

  const ForwardPass& pass() const { return pass_; }
  Var Run(const Block& block, const Var& x) const {
    const auto forward = [&model = model_, &block, pass = pass_, angles = angles_](Context& c,
                                                                                   const Var& in) {
      return block.Forward(model.ContextOf(c, pass, angles), in);
    };
    return pass_.checkpoint ? ops::Checkpoint(context_, x, forward) : forward(context_, x);
  }
  // From the input of block `layer` on.
  Var RunFrom(int64_t layer, Var x) const {
    for (; layer < std::ssize(model_.blocks_); ++layer) {
      x = Run(model_.blocks_[static_cast<size_t>(layer)], x);
      if (pass_.observer && pass_.observer->block_output) pass_.observer->block_output(layer, x);
    }
    return Norm(model_.ContextOf(context_, pass_, angles_), model_.layout.final_norm, x);
  }

 private:
  const Model& model_;
  Context& context_;
  ForwardPass pass_;
  std::array<ops::RotaryAngles, kMostRopes> angles_;
};

Var Model::RunBlock(Context& context, const ForwardPass& pass, int64_t layer, const Var& x) const {
  return Prepared(*this, context, pass).Run(blocks_[static_cast<size_t>(layer)], x);
}

Var Model::HiddenFrom(Context& context, const ForwardPass& pass, int64_t layer,
                      const Var& x) const {
  return Prepared(*this, context, pass).RunFrom(layer, x);
}

Var Model::Hidden(Context& context, const ForwardPass& given) const {
  const Prepared prepared(*this, context, given);
  const ForwardPass& pass = prepared.pass();
  Var x = Embed(context, pass.adapters, pass.batch, pass.on_device.ids);
  if (pass.noise > 0) ops::AddNoise(context, x, NoiseOf(pass, config.width, backend));
  return prepared.RunFrom(0, x);
}

ops::HeadTransform Model::head_transform() const {
  return {static_cast<float>(config.head.scale), static_cast<float>(config.head.soft_cap)};
}

Var Model::WithOwnColumns(Context& context, const Adapter* adapter, const Var& hidden,
                          const Var& logits) const {
  TrainedRows* trained = adapter ? adapter->rows(layout.head) : nullptr;
  if (!trained) return logits;
  const Var own = ops::Linear(context, hidden, trained->rows.var());
  return ops::ReplaceColumns(context, logits, own, trained->numbers);
}

Var Model::HeadOf(Context& context, const ForwardPass& pass, const Var& hidden) const {
  Var logits = Project(ContextOf(context, pass, {}), layout.head, hidden);
  if (!pass.adapters.mixed()) return WithOwnColumns(context, pass.adapters.one(), hidden, logits);
  for (const auto& [adapter, first, count] : pass.adapters.ranges()) {
    WithOwnColumns(context, adapter, {hidden.value.RowRange(first, count)},
                   {logits.value.RowRange(first, count)});
  }
  return logits;
}

Tensor Model::Losses(Context& context, const Adapter* adapter, const Var& hidden,
                     const Tensor& rows, const ops::LogitsLoss& loss) const {
  const Linear& head = linear(layout.head);
  if (adapter && adapter->concerns(layout.head)) {
    const ForwardPass pass{NoTokens(), adapter};
    const auto composed = [&](Context& c, const Var& x) { return HeadOf(c, pass, x); };
    return ops::HeadLoss(context, hidden, rows, config.vocab, composed, loss, head_transform());
  }
  return head.trained()
             ? ops::HeadLoss(context, hidden, rows, head.var(), loss, head_transform())
             : ops::HeadLoss(context, hidden, rows, head.frozen(), loss, head_transform());
}

Tensor Model::Logits(Context& context, const RowAdapters& adapters, const Var& hidden,
                     const std::vector<int32_t>& rows) const {
  const auto count = static_cast<int64_t>(rows.size());
  Tensor chosen = backend.New({count, config.width});
  backend.GatherRows(hidden.value, backend.Upload(rows), chosen);
  std::vector<AdapterRows> ranges;
  return LogitsOf(context, adapters.Of(rows, ranges), chosen);
}

Tensor Model::LogitsOf(Context& context, const RowAdapters& adapters, const Tensor& hidden) const {
  Tensor logits = HeadOf(context, {NoTokens(), adapters}, {hidden}).value;
  ops::TransformLogits(backend, head_transform(), logits);
  return logits;
}

// 8-bit errors change the logits most in q, k and v (scores depend on queries and keys, softmax
// amplifies score errors), in the first layer (its errors pass through all others) and in the head.
void Model::Set(const Target& target, const Weight& weight, const WeightUse& use) {
  RETORT_CHECK(target.kind == Target::Kind::kLinear, "a frozen matrix as a bias or gain");
  const auto put = [&](LinearId id) {
    const LinearSpec& spec = layout.of(id);
    WeightUse own = use;
    own.sensitive =
        spec.use == LinearUse::kAttentionIn || spec.use == LinearUse::kHead || spec.layer == 0;
    // Only few rows of an embedding are ever read.
    if (spec.use == LinearUse::kEmbedding)
      own.purpose = WeightUse::Purpose::kTable, own.lasting = false;
    linears[static_cast<size_t>(id)].weight = backend.Prepare(weight, own);
  };
  put(target.id);
  if (config.head.tied && target.id == layout.embedding) put(layout.head);
}

void Model::Set(const Target& target, Value value) {
  const auto id = static_cast<size_t>(target.id);
  switch (target.kind) {
    case Target::Kind::kLinear:
      if (config.head.tied && target.id == layout.embedding && std::holds_alternative<Var>(value))
        linears[static_cast<size_t>(layout.head)].weight = value;
      linears[id].weight = std::move(value);
      return;
    case Target::Kind::kBias:
      linears[id].bias = std::get<Var>(value);
      return;
    case Target::Kind::kGain:
      gains[id] = std::get<Var>(value);
      return;
  }
}

Model::Value Model::Get(const Target& target) const {
  const auto id = static_cast<size_t>(target.id);
  switch (target.kind) {
    case Target::Kind::kLinear:
      return linears[id].weight;
    case Target::Kind::kBias:
      return linears[id].bias;
    case Target::Kind::kGain:
      return gains[id];
  }
  return Var{};
}

std::vector<std::vector<CachePlane>> Model::planes() const {
  std::vector<std::vector<CachePlane>> planes;
  for (const Block& block : blocks_) planes.push_back(block.planes());
  return planes;
}

Compute Model::compute() const {
  for (size_t i = 0; i < linears.size(); ++i) {
    if (layout.linears[i].adaptable() && !linears[i].trained())
      return linears[i].frozen().compute();
  }
  return Compute::kF32;
}

int64_t Model::weight_bytes() const {
  int64_t sum = 0;
  for (size_t i = 0; i < linears.size(); ++i) {
    const bool shared = config.head.tied && static_cast<LinearId>(i) == layout.head;
    if (!shared && !linears[i].trained()) sum += linears[i].frozen().bytes();
  }
  return sum;
}

}  // namespace retort
