// SPDX-License-Identifier: Apache-2.0
#include "model/adapter_sum.h"

#include <cmath>
#include <cstdlib>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "model/store/run_folder.h"

namespace retort {

// Makes one adapter of several.
class AdapterSum {
 public:
  AdapterSum(const Layout& layout, Backend& backend) : layout_(layout), backend_(backend) {
    out_ = std::make_unique<Adapter>();
    out_->embedding_ = layout.embedding;
    out_->head_ = layout.head;
    out_->sites_.resize(layout.linears.size());
    out_->own_weights_.resize(layout.linears.size());
    out_->own_biases_.resize(layout.linears.size());
    out_->own_gains_.resize(layout.gains.size());
  }

  void Add(const WeightedAdapter& given, Adapter& adapter) {
    where_ = given.folder.string();
    out_->tied_ = adapter.tied_;
    out_->config_.start = "kaiming";
    out_->config_.base_model = adapter.config_.base_model;
    for (size_t i = 0; i < out_->sites_.size(); ++i) {
      if (adapter.sites_[i])
        AddSite(out_->sites_[i], *adapter.sites_[i], given.weight, layout_.linears[i]);
      Take(out_->own_weights_[i], adapter.own_weights_[i], given.weight);
      Take(out_->own_biases_[i], adapter.own_biases_[i], given.weight);
    }
    for (size_t i = 0; i < out_->own_gains_.size(); ++i)
      Take(out_->own_gains_[i], adapter.own_gains_[i], given.weight);
    Take(out_->embedding_rows_, adapter.embedding_rows_, given.weight);
    Take(out_->head_rows_, adapter.head_rows_, given.weight);
  }

  std::unique_ptr<Adapter> Finished() {
    auto& tensors = out_->tensors_;
    for (const auto& site : out_->sites_) {
      if (!site) continue;
      for (Parameter* p : {&site->a, &site->b, site->bias.get()}) {
        if (p)
          tensors.push_back(
              {p == site->bias.get() ? p->name : p->name + ".weight", p, p->value.shape()});
      }
    }
    for (size_t i = 0; i < out_->sites_.size(); ++i) {
      const auto id = static_cast<LinearId>(i);
      // A layer that is trained whole, its single rows, and its factors exclude each other.
      if ((out_->at(id) != nullptr) + (out_->own_weight(id) != nullptr) +
              (out_->rows(id) != nullptr) >
          1)
        throw InputError(where_, ": two adapters train ", layout_.linears[i].name,
                         ", one of them whole or some of its rows by themselves; merge one, and "
                         "use the other on what that makes");
    }
    const auto own = [&](const auto& list) {
      for (const auto& p : list) {
        if (p) tensors.push_back({p->name, p.get(), p->value.shape()});
      }
    };
    own(out_->own_weights_), own(out_->own_biases_), own(out_->own_gains_);
    for (const auto& rows : {out_->embedding_rows_.get(), out_->head_rows_.get()}) {
      if (rows) tensors.push_back({rows->rows.name, &rows->rows, rows->rows.value.shape()});
    }
    return std::move(out_);
  }

 private:
  // The factors of both below and beside each other; scales and weights are in B.
  void AddSite(std::unique_ptr<AdapterSite>& sum, const AdapterSite& site, double weight,
               const LinearSpec& linear) {
    if (site.magnitude)
      throw InputError(
          where_, ": is DoRA, whose change of ", linear.name,
          " depends on the whole weight: it cannot be weighted or stand beside another "
          "adapter; merge it, and use the others on what that makes");
    const auto [a, b] = WholeFactorsOf(site, backend_);
    const auto factor = static_cast<float>(site.scale * weight);
    const int64_t before = sum ? sum->a.value.rows() : 0, rank = a.rows();
    Tensor all_a = backend_.Zeros({before + rank, linear.cols}),
           all_b = backend_.Zeros({linear.rows, before + rank}), scaled = backend_.New(b.shape());
    backend_.CopyColumns(b, 0, scaled);
    backend_.Scale(scaled, factor);
    if (sum) {
      Tensor upper = all_a.RowRange(0, before);
      backend_.CopyColumns(sum->a.value, 0, upper);
      backend_.AddColumns(sum->b.value, 0, all_b);
    }
    Tensor lower = all_a.RowRange(before, rank);
    backend_.CopyColumns(a, 0, lower);
    backend_.AddColumns(scaled, before, all_b);
    auto next = std::make_unique<AdapterSite>(site.a.name, all_a, site.b.name, all_b, 1.0f);
    next->rank = before + rank;
    if (sum) next->bias = std::move(sum->bias);
    if (site.bias) {
      Tensor bias = backend_.New(site.bias->value.shape());
      backend_.CopyColumns(site.bias->value, 0, bias);
      backend_.Scale(bias, factor);
      if (next->bias)
        backend_.Accumulate(bias, next->bias->value);
      else
        next->bias = std::make_unique<Parameter>(site.bias->name, bias);
    }
    sum = std::move(next);
  }

  // What stands in the place of the base's.
  template <class Own>
  void Take(std::unique_ptr<Own>& to, std::unique_ptr<Own>& from, double weight) {
    if (!from) return;
    if (to || weight != 1)
      throw InputError(where_,
                       ": holds tensors in the place of the base's (saved modules, biases or "
                       "tokens), which ",
                       to ? "another adapter does too" : "have no weight",
                       "; merge it, and use the others on what that makes");
    to = std::move(from);
  }

  const Layout& layout_;
  Backend& backend_;
  std::string where_;
  std::unique_ptr<Adapter> out_;
};

WeightedAdapter ParseWeightedAdapter(const std::string& text) {
  const size_t equals = text.rfind('=');
  const auto folder = [](const Path& path) { return AdapterFolderAt(path).value_or(path); };
  if (equals == std::string::npos || std::filesystem::exists(text)) return {folder(text)};
  const std::string number = text.substr(equals + 1);
  char* end = nullptr;
  const double weight = std::strtod(number.c_str(), &end);
  if (number.empty() || *end || weight == 0 || !std::isfinite(static_cast<float>(weight)))
    throw InputError("--adapter ", Quoted(text),
                     ": must be a folder, or FOLDER=WEIGHT with a number "
                     "other than 0, such as 0.5");
  return {folder(text.substr(0, equals)), weight};
}

namespace {

// A run's folder that is given as the model brings its adapter too; the same one as --adapter would
// count twice, which nobody means.
void CheckDistinct(const std::vector<WeightedAdapter>& adapters) {
  std::set<Path> seen;
  for (const WeightedAdapter& one : adapters) {
    if (!seen.insert(std::filesystem::weakly_canonical(one.folder)).second)
      throw InputError(one.folder.string(),
                       ": is given twice as adapter; give it once, with its weight");
  }
}

}  // namespace

std::unique_ptr<Adapter> LoadAdapters(const std::vector<WeightedAdapter>& adapters,
                                      const Layout& layout, Backend& backend,
                                      const AdapterBase& base) {
  if (adapters.size() == 1 && adapters[0].weight == 1)
    return Adapter::Load(adapters[0].folder, layout, backend, base);
  CheckDistinct(adapters);
  AdapterSum sum(layout, backend);
  for (const WeightedAdapter& one : adapters)
    sum.Add(one, *Adapter::Load(one.folder, layout, backend, base));
  return sum.Finished();
}

}  // namespace retort
