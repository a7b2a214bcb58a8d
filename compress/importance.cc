// SPDX-License-Identifier: Apache-2.0
#include "compress/importance.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "base/error.h"
#include "base/random.h"
#include "eval/loss.h"
#include "eval/observe.h"

namespace retort {
namespace {

int64_t Tokens(const Examples& examples) {
  int64_t sum = 0;
  for (const Example& example : examples) sum += example.size();
  return sum;
}

std::vector<int64_t> AllBut(const std::vector<int64_t>& from, int64_t one) {
  std::vector<int64_t> out;
  std::copy_if(from.begin(), from.end(), std::back_inserter(out),
               [&](int64_t layer) { return layer != one; });
  return out;
}

std::vector<double> BlockInfluence(const Model& model, const Examples& examples,
                                   int64_t batch_tokens) {
  std::vector<double> sums(static_cast<size_t>(model.config.layers()));
  Tensor input;
  Observer observer;
  observer.block_output = [&](int64_t layer, const Var& x) {
    Tensor distances = model.backend.New({input.rows()}, DType::kF64);
    model.backend.HiddenDistance(input, x.value, HiddenLossKind::kCosine, 0, distances);
    for (const double d : model.backend.ToDoubles(distances)) sums[static_cast<size_t>(layer)] += d;
    input = x.value;
  };
  Observe(model, nullptr, examples, observer,
          {.batch_tokens = batch_tokens, .before = [&](const Tensor& x) { input = x; }});
  for (double& sum : sums) sum /= static_cast<double>(Tokens(examples));
  return sums;
}

void DropByLoss(const Model& model, const Examples& examples, int64_t drop,
                const ImportanceOptions& options, LayerRanking& ranking) {
  int64_t done = 0, total = 0;
  for (int64_t round = 0; round < drop; ++round) total += std::ssize(ranking.kept) - round;
  for (int64_t round = 0; round < drop; ++round) {
    std::vector<double> losses;
    for (const int64_t layer : ranking.kept) {
      const Model without = WithLayers(model, AllBut(ranking.kept, layer));
      const double loss = EvaluateLoss(without, nullptr, examples, options.batch_tokens).mean();
      losses.push_back(std::isnan(loss) ? INFINITY : loss);
      if (options.on_progress) options.on_progress(++done, total);
    }
    const auto best = std::min_element(losses.begin(), losses.end()) - losses.begin();
    if (round == 0) ranking.importance = losses;
    ranking.losses.push_back(losses[static_cast<size_t>(best)]);
    ranking.dropped.push_back(ranking.kept[static_cast<size_t>(best)]);
    ranking.kept.erase(ranking.kept.begin() + best);
  }
}

// The name in the whole model of a tensor of the model with only the layers `kept`.
std::string NameBefore(const Family& family, const std::string& name,
                       const std::vector<int64_t>& kept) {
  LayerName in_layer = LayerOfName(family, name);
  if (in_layer.layer >= 0) in_layer.layer = kept[static_cast<size_t>(in_layer.layer)];
  return NameInLayer(family, in_layer);
}

// Euclidean norms of the columns. The backend decodes the rows, a few at a time.
std::vector<double> ColumnNorms(Backend& k, const PreparedWeight& w) {
  constexpr int64_t kRows = 64;
  RETORT_CHECK(!w.empty(), "column norms of a layer that is not frozen");
  std::vector<double> sums(static_cast<size_t>(w.cols()));
  for (int64_t r = 0; r < w.rows(); r += kRows) {
    std::vector<int32_t> rows(static_cast<size_t>(std::min(kRows, w.rows() - r)));
    std::iota(rows.begin(), rows.end(), static_cast<int32_t>(r));
    Tensor decoded = k.New({std::ssize(rows), w.cols()});
    k.EmbedRows(w, k.Upload(rows), decoded);
    const std::vector<float> values = k.ToFloats(decoded);
    for (size_t i = 0; i < values.size(); ++i) {
      sums[i % sums.size()] += double{values[i]} * values[i];
    }
  }
  for (double& sum : sums) sum = std::sqrt(sum);
  return sums;
}

}  // namespace

std::string_view NameOf(LayerRule rule) {
  constexpr std::string_view kNames[] = {"loss", "cosine", "random"};
  return kNames[static_cast<size_t>(rule)];
}

LayerRule ParseLayerRule(std::string_view name) {
  for (const LayerRule rule : {LayerRule::kLoss, LayerRule::kCosine, LayerRule::kRandom}) {
    if (name == NameOf(rule)) return rule;
  }
  throw InputError("--by '", name, "' is not known; use loss, cosine or random");
}

LayerRanking RankLayers(const Model& model, const Examples& examples, LayerRule rule, int64_t drop,
                        const ImportanceOptions& options) {
  const int64_t layers = model.config.layers();
  RETORT_CHECK(drop >= 0 && drop < layers, "dropping ", drop, " of ", layers, " layers");
  LayerRanking ranking;
  ranking.kept.resize(static_cast<size_t>(layers));
  std::iota(ranking.kept.begin(), ranking.kept.end(), 0);
  if (rule == LayerRule::kLoss) {
    DropByLoss(model, examples, drop, options, ranking);
    return ranking;
  }
  if (rule == LayerRule::kCosine) {
    ranking.importance = BlockInfluence(model, examples, options.batch_tokens);
    ranking.dropped = ranking.kept;
    const auto influence = [&](int64_t layer) {
      return ranking.importance[static_cast<size_t>(layer)];
    };
    std::stable_sort(ranking.dropped.begin(), ranking.dropped.end(),
                     [&](int64_t a, int64_t b) { return influence(a) < influence(b); });
  } else {
    ranking.dropped = Permutation(layers, MakeKey(options.seed, RandomUse::kSample));
  }
  ranking.dropped.resize(static_cast<size_t>(drop));
  for (const int64_t layer : ranking.dropped) ranking.kept = AllBut(ranking.kept, layer);
  return ranking;
}

Model WithLayers(const Model& model, const std::vector<int64_t>& kept) {
  Architecture config = model.config;
  config.blocks.clear();
  for (const int64_t layer : kept)
    config.blocks.push_back(model.config.blocks[static_cast<size_t>(layer)]);
  Model out(config, model.backend);
  std::map<std::string, Target> targets;
  for (const TensorSpec& spec : model.layout.tensors) targets[spec.name] = spec.target;
  for (const TensorSpec& spec : out.layout.tensors)
    out.Set(spec.target,
            model.Get(targets.at(NameBefore(FamilyOf(model.config), spec.name, kept))));
  out.linears[static_cast<size_t>(out.layout.head)] = model.linear(model.layout.head);
  return out;
}

std::vector<std::vector<double>> NeuronImportance(const Model& model, const Examples& examples,
                                                  const ImportanceOptions& options) {
  const auto width = static_cast<size_t>(model.config.mlp_width());
  std::vector<std::vector<double>> sums(static_cast<size_t>(model.config.layers()),
                                        std::vector<double>(width));
  Observer observer;
  observer.linear_input = [&](LinearId id, const Tensor& active) {
    const LinearSpec& linear = model.layout.of(id);
    if (linear.use != LinearUse::kMlpOut) return;
    std::vector<double>& sum = sums[static_cast<size_t>(linear.layer)];
    const std::vector<float> values = model.backend.ToFloats(active);
    for (size_t i = 0; i < values.size(); i += width) {
      for (size_t f = 0; f < width; ++f) sum[f] += std::abs(values[i + f]);
    }
  };
  Observe(model, nullptr, examples, observer, {.batch_tokens = options.batch_tokens});
  for (size_t id = 0; id < model.linears.size(); ++id) {
    const LinearSpec& linear = model.layout.linears[id];
    if (linear.use != LinearUse::kMlpOut) continue;
    const std::vector<double> norms = ColumnNorms(model.backend, model.linears[id].frozen());
    std::vector<double>& sum = sums[static_cast<size_t>(linear.layer)];
    for (size_t f = 0; f < width; ++f) sum[f] *= norms[f] / static_cast<double>(Tokens(examples));
  }
  return sums;
}

std::vector<int64_t> LargestPlaces(const std::vector<double>& values, int64_t count) {
  std::vector<int64_t> places(values.size());
  std::iota(places.begin(), places.end(), 0);
  std::stable_sort(places.begin(), places.end(), [&](int64_t a, int64_t b) {
    return values[static_cast<size_t>(a)] > values[static_cast<size_t>(b)];
  });
  places.resize(static_cast<size_t>(count));
  std::sort(places.begin(), places.end());
  return places;
}

}  // namespace retort
