// SPDX-License-Identifier: Apache-2.0
#include "model/modules/linear.h"

#include <algorithm>
#include <optional>

#include "base/random.h"

namespace retort {
namespace {

constexpr size_t kMost = 4;

std::optional<ops::LowRank> LowRankOf(const PassContext& run, LinearId id) {
  AdapterSite* site = run.site(id);
  if (!site) return std::nullopt;
  ops::LowRank low_rank{site->a.var(), site->b.var(), site->scale, {}};
  if (run.pass.dropout_seed != 0) {
    // Keyed by the layer's name, so that adding a module does not change other layers' masks.
    const PhiloxKey key =
        MakeKey(run.pass.dropout_seed, RandomUse::kDropout, NameKey(run.layout.of(id).name));
    low_rank.mask = {static_cast<float>(run.adapters.one()->config().dropout),
                     uint64_t{key[0]} << 32 | key[1], run.pass.on_device.row_index,
                     run.pass.on_device.row_token};
  }
  return low_rank;
}

// y of one layer with its adapter's further terms: y is x W^T + s x A^T B^T, and has its bias only
// if there is no magnitude.
Var WithFurtherTerms(const PassContext& run, LinearId id, const Var& x, Var y) {
  const AdapterSite* site = run.site(id);
  if (!site) return y;
  Context& c = run.context;
  if (site->has_start()) {
    const Var u = ops::Scale(c, ops::Linear(c, x, Var{site->start_a}), site->scale);
    y = ops::Add(c, y, ops::Linear(c, u, Var{site->minus_start_b}));
  }
  if (site->magnitude) {
    if (!site->norms) site->norms = AdaptedNorms(*site, run.linear(id).frozen(), run.backend());
    y = ops::Resize(c, y, site->magnitude->var(), site->norms);
    if (const Var bias = run.bias(id); bias.value) y = ops::AddBias(c, y, bias);
  }
  if (site->bias) y = ops::AddBias(c, y, ops::Scale(c, site->bias->var(), site->scale));
  return y;
}

bool HasMagnitude(const PassContext& run, LinearId id) {
  const AdapterSite* site = run.site(id);
  return site && site->magnitude;
}

void ProjectFrozen(const PassContext& run, std::span<const LinearId> ids, const Var& x,
                   std::span<Var> y) {
  std::array<std::optional<ops::LowRank>, kMost> adapters;
  std::array<ops::FrozenLayer, kMost> frozen;
  for (size_t i = 0; i < ids.size(); ++i) {
    adapters[i] = LowRankOf(run, ids[i]);
    frozen[i] = {&run.linear(ids[i]).frozen(), HasMagnitude(run, ids[i]) ? Var{} : run.bias(ids[i]),
                 adapters[i] ? &*adapters[i] : nullptr};
  }
  ops::Linears(run.context, x, std::span(frozen).first(ids.size()), y);
  for (size_t i = 0; i < ids.size(); ++i) y[i] = WithFurtherTerms(run, ids[i], x, y[i]);
}

void ProjectOne(const PassContext& run, std::span<const LinearId> ids, const Var& x,
                std::span<Var> y) {
  if (std::ranges::none_of(ids,
                           [&](LinearId id) { return static_cast<bool>(run.trained(id).value); }))
    return ProjectFrozen(run, ids, x, y);
  for (size_t i = 0; i < ids.size(); ++i) {
    const Var w = run.trained(ids[i]);
    if (w.value)
      y[i] = ops::Linear(run.context, x, w, run.bias(ids[i]));
    else
      ProjectFrozen(run, ids.subspan(i, 1), x, y.subspan(i, 1));
  }
}

// What one adapter's rows have of a layer: y is x W^T of the frozen weight, and is overwritten. The
// same steps in the same order as ProjectOne, so that the bits are those of its rows alone.
Var Completed(const PassContext& run, LinearId id, const Var& x, Var y) {
  if (const Var w = run.trained(id); w.value) return ops::Linear(run.context, x, w, run.bias(id));
  Backend& k = run.backend();
  if (const AdapterSite* site = run.site(id)) {
    AdapterProduct product{site->a.value, site->b.value, site->scale, x.value,
                           k.New({x.value.rows(), site->a.value.rows()})};
    k.AddAdapter(run.linear(id).frozen(), product, y.value);
  }
  if (const Var bias = run.bias(id); bias.value && !HasMagnitude(run, id))
    k.AddBias(y.value, bias.value);
  return WithFurtherTerms(run, id, x, y);
}

// One product with the weights for the rows of all adapters, then what each adds to its own.
void ProjectMixed(const PassContext& run, std::span<const LinearId> ids, const Var& x,
                  std::span<Var> y) {
  RETORT_CHECK(!run.context.tape, "rows of several adapters are only computed, not trained");
  std::array<ops::FrozenLayer, kMost> frozen;
  for (size_t i = 0; i < ids.size(); ++i) frozen[i] = {&run.linear(ids[i]).frozen(), {}, nullptr};
  ops::Linears(run.context, x, std::span(frozen).first(ids.size()), y);
  for (const auto& [adapter, first, count] : run.adapters.ranges()) {
    const PassContext own = run.With(adapter);
    const Var in{x.value.RowRange(first, count)};
    for (size_t i = 0; i < ids.size(); ++i) {
      Tensor out = y[i].value.RowRange(first, count);
      const Tensor whole = Completed(own, ids[i], in, {out}).value;
      if (whole.address() != out.address()) run.backend().CopyColumns(whole, 0, out);
    }
  }
}

}  // namespace

void Project(const PassContext& run, std::span<const LinearId> ids, const Var& x,
             std::span<Var> y) {
  RETORT_CHECK(ids.size() <= kMost && ids.size() == y.size(), ids.size(), " layers into ",
               y.size());
  if (run.pass.observes_linears()) {
    for (const LinearId id : ids) run.pass.observer->linear_input(id, x.value);
  }
  if (!run.adapters.mixed()) return ProjectOne(run, ids, x, y);
  const auto concerned = [&](const Adapter& adapter) {
    return std::ranges::any_of(ids, [&](LinearId id) { return adapter.concerns(id); });
  };
  return run.adapters.Any(concerned) ? ProjectMixed(run, ids, x, y)
                                     : ProjectOne(run.With(nullptr), ids, x, y);
}

Var ByAdapter(const PassContext& run, const Var& x,
              const std::function<Var(const PassContext& own, const Var& x)>& forward) {
  Var y{run.backend().New(x.shape())};
  for (const auto& [adapter, first, count] : run.adapters.ranges()) {
    Tensor out = y.value.RowRange(first, count);
    const Var in{x.value.RowRange(first, count)};
    run.backend().CopyColumns(forward(run.With(adapter), in).value, 0, out);
  }
  return y;
}

bool IsBare(const PassContext& run, LinearId id) {
  const Linear& layer = run.linear(id);
  return !run.context.tape && !run.pass.observes_linears() && !layer.trained() &&
         !layer.bias.value &&
         !run.adapters.Any([id](const Adapter& adapter) { return adapter.concerns(id); });
}

void ThroughCache(const PassContext& run, int64_t layer, Var& keys, Var& values) {
  if (!run.pass.cache) return;
  const std::vector<Tensor>& planes = run.pass.cache->planes[static_cast<size_t>(layer)];
  const Tensor& rows = run.pass.on_device.cache_rows;
  Tensor key_pages = planes[0], value_pages = planes[1];
  run.backend().StoreRows(keys.value, rows, key_pages);
  run.backend().StoreRows(values.value, rows, value_pages);
  keys = {key_pages}, values = {value_pages};
}

Var Norm(const PassContext& run, const NormLayer& norm, const Var& x) {
  if (run.adapters.mixed()) {
    const bool own = run.adapters.Any([&](const Adapter& adapter) {
      return adapter.own_gain(norm.gain) || (norm.bias != kNone && adapter.own_gain(norm.bias));
    });
    if (!own) return Norm(run.With(nullptr), norm, x);
    return ByAdapter(
        run, x, [&](const PassContext& one, const Var& rows) { return Norm(one, norm, rows); });
  }
  const Var centered =
      run.norm_kind == NormSpec::Kind::kLayer ? ops::Center(run.context, x, norm.width) : x;
  const Var y = ops::RmsNorm(run.context, centered, run.gain(norm.gain), norm.epsilon, norm.width);
  return norm.bias == kNone ? y : ops::AddBias(run.context, y, run.gain(norm.bias));
}

}  // namespace retort
