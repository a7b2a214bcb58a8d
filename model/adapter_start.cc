// SPDX-License-Identifier: Apache-2.0
#include "model/adapter_start.h"

#include <cmath>
#include <set>

#include "base/random.h"
#include "model/model.h"
#include "model/stored_tensors.h"
#include "model/weight_parts.h"
#include "tensor/quant/quant.h"

namespace retort {
namespace {

RandomStream RandomOfLayer(uint64_t seed, const LinearSpec& linear) {
  return RandomStream(MakeKey(seed, RandomUse::kInit, NameKey(linear.name)));
}

void StartSite(AdapterSite& site, const LinearSpec& linear, const std::string& start, uint64_t seed,
               Backend& backend) {
  RandomStream random = RandomOfLayer(seed, linear);
  const int64_t rank = site.a.value.rows();
  std::vector<float> a(static_cast<size_t>(rank * linear.cols));
  const double bound = 1 / std::sqrt(static_cast<double>(linear.cols));
  for (float& v : a) {
    if (linear.use == LinearUse::kEmbedding)
      v = static_cast<float>(random.Normal());
    else if (start == "gaussian")
      v = static_cast<float>(random.Normal() / static_cast<double>(rank));
    else
      v = static_cast<float>((2 * random.Uniform() - 1) * bound);
  }
  site.a.value = backend.FromFloats(a, site.a.value.shape());
}

// The tensor that fills the place; a tied head's is the embedding's.
const TensorSpec& SpecOfPlace(const Layout& layout, const Target& target) {
  const TensorSpec* table = nullptr;
  for (const TensorSpec& spec : layout.tensors) {
    if (spec.target.kind == target.kind && spec.target.id == target.id) return spec;
    if (spec.is_matrix() && spec.target.id == layout.embedding) table = &spec;
  }
  RETORT_CHECK(table && target.kind == Target::Kind::kLinear && target.id == layout.head,
               "no tensor fills the place");
  return *table;
}

// Rows of a matrix of the base.
std::vector<float> RowsOfBase(const ModelFiles& files, const TensorSpec& spec,
                              const std::vector<int32_t>& rows, Backend& backend) {
  const Weight w = FetchTensor(files, spec, backend.host_memory());
  std::vector<float> out(rows.size() * static_cast<size_t>(w.cols()));
  for (size_t i = 0; i < rows.size(); ++i)
    DecodeRow(w, rows[i], 0, w.cols(), out.data() + static_cast<int64_t>(i) * w.cols());
  return out;
}

std::vector<float> MatrixOfBase(const ModelFiles& files, const TensorSpec& spec, Backend& backend) {
  std::vector<int32_t> all(static_cast<size_t>(spec.shape[0]));
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int32_t>(i);
  return RowsOfBase(files, spec, all, backend);
}

// Everything that stands in the place of a tensor of the base.
void CopyBase(Adapter& adapter, const Layout& layout, Backend& backend, const AdapterBase& base) {
  const auto copy = [&](Parameter* own, const Target& target) {
    if (!own) return;
    RETORT_CHECK(base.files, own->name, " begins as the base's");
    const TensorSpec& spec = SpecOfPlace(layout, target);
    own->value = backend.FromFloats(spec.is_matrix() ? MatrixOfBase(*base.files, spec, backend)
                                                     : FetchVector(*base.files, spec),
                                    own->value.shape());
  };
  for (size_t i = 0; i < layout.linears.size(); ++i) {
    const auto id = static_cast<LinearId>(i);
    copy(adapter.own_weight(id), {Target::Kind::kLinear, id});
    copy(adapter.own_bias(id), {Target::Kind::kBias, id});
  }
  for (size_t i = 0; i < layout.gains.size(); ++i) {
    const auto id = static_cast<GainId>(i);
    copy(adapter.own_gain(id), {Target::Kind::kGain, id});
  }
  for (const LinearId id : {layout.embedding, layout.head}) {
    TrainedRows* trained = adapter.rows(id);
    if (!trained) continue;
    RETORT_CHECK(base.files, trained->rows.name, " begins as the base's");
    const TensorSpec& spec = SpecOfPlace(layout, {Target::Kind::kLinear, id});
    trained->rows.value = backend.FromFloats(RowsOfBase(*base.files, spec, trained->ids, backend),
                                             trained->rows.value.shape());
  }
}

}  // namespace

void StartAdapter(Adapter& adapter, const Layout& layout, uint64_t seed, Backend& backend,
                  const AdapterBase& base) {
  const std::string& start = adapter.config().start;
  if (TakesPartOfBase(start)) {
    RETORT_CHECK(base.files, start, " without the base's weights");
    TakePartsOfBase(adapter, layout, seed, backend, *base.files);
  }
  std::set<const Parameter*> started;
  for (size_t i = 0; i < layout.linears.size(); ++i) {
    AdapterSite* site = adapter.at(static_cast<LinearId>(i));
    if (!site) continue;
    if (!TakesPartOfBase(start) && started.insert(&site->a).second)
      StartSite(*site, layout.linears[i], start, seed, backend);
    if (!site->magnitude) continue;
    RETORT_CHECK(base.model, site->magnitude->name, " begins as the norms of the base's rows");
    site->magnitude->value = AdaptedNorms(*site, base.model->linears[i].frozen(), backend);
  }
  CopyBase(adapter, layout, backend, base);
}

void TakePartsOfBase(Adapter& adapter, const Layout& layout, uint64_t seed, Backend& backend,
                     const ModelFiles& files) {
  const std::string& start = adapter.config().start;
  for (size_t i = 0; i < layout.linears.size(); ++i) {
    AdapterSite* site = adapter.at(static_cast<LinearId>(i));
    if (!site) continue;
    const LinearSpec& linear = layout.linears[i];
    const TensorSpec& spec = SpecOfPlace(layout, {Target::Kind::kLinear, static_cast<LinearId>(i)});
    const std::vector<float> w = MatrixOfBase(files, spec, backend);
    const int64_t rank = site->rank;
    const WeightMatrix matrix{w, linear.rows, linear.cols};
    if (rank > std::min(linear.rows, linear.cols)) {
      throw InputError("adapter: ", start, " of rank ", rank, " takes more than there is of ",
                       linear.name, ", ", linear.rows, " x ", linear.cols);
    }
    if (!(site->scale > 0))
      throw InputError("adapter: ", start, " needs an alpha above 0, which ", linear.name,
                       " does not have");
    RandomStream random = RandomOfLayer(seed, linear);
    WeightPart part =
        start == "olora" ? OrthogonalPart(matrix, rank)
                         : PrincipalPart(matrix, rank, site->scale, PissaIterations(start), random);
    const Shape a{rank, linear.cols}, b{linear.rows, rank};
    site->start_a = backend.FromFloats(part.a, a);
    site->a.value = backend.FromFloats(part.a, a);  // apart: the optimiser writes in place
    site->b.value = backend.FromFloats(part.b, b);
    for (float& v : part.b) v = -v;
    site->minus_start_b = backend.FromFloats(part.b, b);
  }
}

}  // namespace retort
