// SPDX-License-Identifier: Apache-2.0
#include "model/adapter.h"

#include <atomic>
#include <cmath>

#include "base/text.h"
#include "formats/safetensors.h"
#include "model/adapter_builder.h"
#include "model/adapter_start.h"

namespace retort {

double LoraScale(double alpha, int64_t rank, bool rslora) {
  return alpha / (rslora ? std::sqrt(static_cast<double>(rank)) : static_cast<double>(rank));
}

WholeFactors WholeFactorsOf(const AdapterSite& site, Backend& backend) {
  if (!site.has_start()) return {site.a.value, site.b.value};
  const int64_t rank = site.a.value.rows(), in = site.a.value.cols(), out = site.b.value.rows();
  WholeFactors whole{backend.Zeros({2 * rank, in}), backend.Zeros({out, 2 * rank})};
  Tensor upper = whole.a.RowRange(0, rank), lower = whole.a.RowRange(rank, rank);
  backend.CopyColumns(site.a.value, 0, upper);
  backend.CopyColumns(site.start_a, 0, lower);
  backend.AddColumns(site.b.value, 0, whole.b);
  backend.AddColumns(site.minus_start_b, rank, whole.b);
  return whole;
}

Tensor AdaptedNorms(const AdapterSite& site, const PreparedWeight& w, Backend& backend) {
  const auto [a, b] = WholeFactorsOf(site, backend);
  Tensor norms = backend.New({w.rows()});
  backend.AdaptedNorms(w, a, b, site.scale, norms);
  return norms;
}

Adapter::Adapter()
    : number_([] {
        static std::atomic<int32_t> last{0};
        return ++last;
      }()) {}

std::unique_ptr<Adapter> Adapter::Make(const AdapterConfig& config, const Layout& layout,
                                       uint64_t seed, Backend& backend, const AdapterBase& base) {
  auto out = AdapterBuilder(config, layout, backend).Build(AdapterBuilder::For::kNew);
  if (out->parameters().empty())
    throw InputError("adapter.exclude leaves none of the layers that adapter.targets names");
  StartAdapter(*out, layout, seed, backend, base);
  return out;
}

std::unique_ptr<Adapter> Adapter::Load(const Path& folder, const Layout& layout, Backend& backend,
                                       const AdapterBase& base) {
  const AdapterConfig config = ReadAdapterConfig(folder);
  const std::string where = (folder / "adapter_config.json").string();
  auto out = AdapterBuilder(config, layout, backend, where).Build(AdapterBuilder::For::kFile);
  if (TakesPartOfBase(config.start)) {
    RETORT_CHECK(base.files, "an adapter of ", config.start, " without its base");
    TakePartsOfBase(*out, layout, 0, backend, *base.files);
  }
  out->Read(ReadSafetensors(folder / "adapter_model.safetensors").tensors, backend);
  return out;
}

TrainedRows* Adapter::rows(LinearId id) const {
  if (id == embedding_) return embedding_rows_.get();
  if (id != head_) return nullptr;
  return tied_ ? embedding_rows_.get() : head_rows_.get();
}

bool Adapter::is_plain() const {
  for (const AdapterTensor& t : tensors_) {
    if (!t.key.ends_with(".lora_A.weight") && !t.key.ends_with(".lora_B.weight")) return false;
  }
  return true;
}

std::vector<Parameter*> Adapter::parameters() const {
  std::vector<Parameter*> out;
  for (const AdapterTensor& t : tensors_) out.push_back(t.parameter);
  return out;
}

std::vector<AdapterTensor> Adapter::tensors() const {
  std::vector<AdapterTensor> out = tensors_;
  for (AdapterTensor& t : out) {
    for (const auto& site : sites_) {
      if (!site || !site->has_start()) continue;
      if (t.parameter == &site->a) t.form = AdapterTensor::Form::kAbove, t.start = site->start_a;
      if (t.parameter == &site->b)
        t.form = AdapterTensor::Form::kBeside, t.start = site->minus_start_b;
    }
  }
  return out;
}

void Adapter::Changed() const {
  for (const auto& site : sites_) {
    if (site) site->norms = Tensor();
  }
}

}  // namespace retort
