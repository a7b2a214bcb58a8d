// SPDX-License-Identifier: Apache-2.0
#include "export/gguf_adapter.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/error.h"
#include "base/text.h"
#include "export/gguf_name.h"
#include "formats/gguf.h"
#include "model/spec/gguf_config.h"
#include "model/store/answer_schema.h"
#include "model/store/base_check.h"
#include "model/store/base_record.h"
#include "model/store/target.h"
#include "tensor/quant/quant.h"

namespace retort {
namespace {

struct LoraFactor {
  std::string name;
  std::vector<int64_t> shape;
  std::vector<float> values;
};

// What the file holds of one tensor of the base: of a layer, or of the same layer of all experts.
struct LoraPair {
  LoraFactor a, b;
};

class LoraFactors {
 public:
  LoraFactors(const ModelFiles& files, const Adapter& adapter, Backend& backend)
      : layout_(files.layout), adapter_(adapter), backend_(backend) {}

  // The scale of a factor of rank R is alpha() / R. llama.cpp takes an alpha of 0 for a scale of 1.
  double alpha() const {
    const AdapterConfig& c = adapter_.config();
    const double scale = c.alpha == 0 ? 1 : LoraScale(c.alpha, c.rank, c.rslora);
    return scale * static_cast<double>(c.rank) * (TakesPartOfBase(c.start) ? 2 : 1);
  }

  std::vector<LoraPair> All(const std::string& where) const {
    std::map<std::string, LoraPair> pairs;  // by the tensor
    std::map<std::string, int64_t> experts;
    for (const TensorSpec& spec : layout_.tensors) {
      const AdapterSite* site = spec.is_matrix() ? adapter_.at(spec.target.id) : nullptr;
      if (!site) continue;
      if (spec.split.present())
        throw InputError(where, ": adapts ", spec.name,
                         ", which a GGUF keeps as two tensors; merge it and export the model");
      const LoraPair own = Of(spec, *site);
      if (spec.expert < 0) {
        pairs[spec.gguf_name] = own;
      } else {
        Append(pairs[spec.gguf_name], own, spec, where);
        ++experts[spec.gguf_name];
      }
    }
    for (const TensorSpec& spec : layout_.tensors) {
      const auto found = experts.find(spec.gguf_name);
      if (found != experts.end() && found->second != spec.experts)
        throw InputError(where, ": adapts some experts of ", spec.gguf_name,
                         " and not others, which a GGUF stacks; merge it and export the model");
    }
    std::vector<LoraPair> out;
    out.reserve(pairs.size());
    for (auto& [_, pair] : pairs) out.push_back(std::move(pair));
    return out;
  }

 private:
  LoraPair Of(const TensorSpec& spec, const AdapterSite& site) const {
    const auto [a, b] = WholeFactorsOf(site, backend_);
    const int64_t rank = a.rows(), in = a.cols(), out = b.rows();
    std::vector<float> av = backend_.ToFloats(a), bv = backend_.ToFloats(b);
    const double more = site.scale * static_cast<double>(rank) / alpha();
    if (std::abs(more - 1) > 1e-6) {
      for (float& v : bv) v = static_cast<float>(v * more);
    }
    const std::string name = spec.gguf_name;
    if (spec.target.id == layout_.embedding) {  // rows of ids, then the way to the width
      std::vector<float> turned(av.size());
      for (int64_t r = 0; r < rank; ++r) {
        for (int64_t c = 0; c < in; ++c)
          turned[static_cast<size_t>(c * rank + r)] = av[static_cast<size_t>(r * in + c)];
      }
      return {{name + ".lora_a", {out, rank}, bv}, {name + ".lora_b", {in, rank}, turned}};
    }
    std::vector<float> ordered(bv.size());
    for (int64_t i = 0; i < out; ++i) {
      const auto from = bv.begin() + spec.order.HuggingFaceRow(i, out) * rank;
      std::copy(from, from + rank, ordered.begin() + i * rank);
    }
    return {{name + ".lora_a", {rank, in}, std::move(av)},
            {name + ".lora_b", {out, rank}, std::move(ordered)}};
  }

  // Experts come in their order.
  static void Append(LoraPair& all, const LoraPair& one, const TensorSpec& spec,
                     const std::string& where) {
    const auto append = [&](LoraFactor& to, const LoraFactor& from) {
      const std::vector<int64_t> shape = {spec.experts, from.shape[0], from.shape[1]};
      if (!to.shape.empty() && to.shape != shape)
        throw InputError(where, ": the experts of ", spec.gguf_name,
                         " have adapters of different ranks, which a GGUF stacks; merge it and "
                         "export the model");
      to.name = from.name, to.shape = shape;
      to.values.insert(to.values.end(), from.values.begin(), from.values.end());
    };
    append(all.a, one.a), append(all.b, one.b);
  }

  const Layout& layout_;
  const Adapter& adapter_;
  Backend& backend_;
};

void RefuseWhatGgufLacks(const ModelFiles& files, const Adapter& adapter,
                         const std::string& where) {
  for (const AdapterTensor& t : adapter.tensors()) {
    const bool factor = t.key.find(".lora_embedding_") != std::string::npos ||
                        t.key.ends_with(".lora_A.weight") || t.key.ends_with(".lora_B.weight");
    if (!factor)
      throw InputError(where, ": holds '", t.key,
                       "', for which llama.cpp's adapters have no place; merge it (retort merge) "
                       "and export the model");
  }
  if (files.config.head.tied && adapter.at(files.layout.head))
    throw InputError(where,
                     ": adapts the head, which in this base is the embedding's tensor; merge "
                     "it (retort merge) and export the model");
}

GgufMetadata AdapterMetadata(const ModelFiles& files, const GgufAdapterOptions& options,
                             double alpha) {
  GgufMetadata of_base, m;
  ConfigToGguf(files.config, files.path.string(), of_base);
  m.Set("general.architecture", of_base.Text("general.architecture"));
  m.Set("general.type", std::string("adapter"));
  m.Set("adapter.type", std::string("lora"));
  const Path folder = std::filesystem::absolute(options.adapter).lexically_normal();
  m.Set("general.name",
        (folder.has_filename() ? folder : folder.parent_path()).filename().string());
  m.Set("adapter.lora.alpha", static_cast<float>(alpha));
  m.Set("general.quantization_version", uint32_t{2});
  return m;
}

WeightFormat FormatOfFactor(const LoraFactor& factor, WeightFormat wanted) {
  return factor.shape.back() % TraitsOf(wanted).block_elements == 0 ? wanted : WeightFormat::kF16;
}

std::vector<std::byte> EncodedFactor(const LoraFactor& factor, WeightFormat format) {
  const int64_t cols = factor.shape.back(), rows = std::ssize(factor.values) / cols;
  const int64_t row_bytes = RowBytes(format, cols);
  std::vector<std::byte> bytes(static_cast<size_t>(rows * row_bytes));
  for (int64_t r = 0; r < rows; ++r)
    EncodeRow(format, factor.values.data() + r * cols, cols, bytes.data() + r * row_bytes);
  return bytes;
}

// The file says what was meant, to the byte.
void ReadFactorsBack(const Path& file, const std::vector<LoraPair>& pairs, WeightFormat type) {
  const GgufFile gguf = ReadGguf(file);
  for (const LoraPair& pair : pairs) {
    for (const LoraFactor* factor : {&pair.a, &pair.b}) {
      const TensorEntry* entry = gguf.tensors.Find(factor->name);
      const WeightFormat format = FormatOfFactor(*factor, type);
      if (!entry || entry->shape != factor->shape || entry->format != format ||
          !std::ranges::equal(entry->bytes, EncodedFactor(*factor, format)))
        throw Failure(file.string(), ": ", factor->name,
                      " reads as something else; nothing is kept");
    }
  }
}

Path BaseOfAdapter(const GgufAdapterOptions& options) {
  if (!options.base.empty()) return options.base;
  if (const auto record = ReadBaseRecord(options.adapter); record && !record->path.empty())
    return record->path;
  const std::string named = ReadAdapterConfig(options.adapter).base_model;
  if (!named.empty() && std::filesystem::exists(named)) return named;
  throw InputError(options.adapter.string(), ": does not say where its base is",
                   named.empty() ? "" : Cat(" ('", named, "' is not here)"),
                   "; name it with --base");
}

}  // namespace

WeightFormat AdapterTypeNamed(std::string_view name) {
  for (const WeightFormat type :
       {WeightFormat::kF32, WeightFormat::kF16, WeightFormat::kBF16, WeightFormat::kQ8_0}) {
    if (TraitsOf(type).name == name) return type;
  }
  throw InputError("--type ", Quoted(name),
                   ": an adapter's factors are f32, f16, bf16 or q8_0; for another type, merge it "
                   "(retort merge) and export the model");
}

GgufAdapterExport ExportGgufAdapter(const GgufAdapterOptions& options) {
  const std::string where = options.adapter.string();
  AdapterTypeNamed(TraitsOf(options.type).name);
  const Path base = BaseOfAdapter(options);
  CheckTarget(options.out, TargetKind::kFile, {options.adapter, base});
  const ModelFiles files = OpenModel(base);
  GgufAdapterExport done;
  done.notes = CheckAdapterBase(options.adapter, files, options.threads);
  const auto backend = MakeCpuBackend(options.threads, Compute::kF32);
  const auto adapter = Adapter::Load(options.adapter, files.layout, *backend, {&files});
  RefuseWhatGgufLacks(files, *adapter, where);
  if (AnswerSchemaOf({{options.adapter, 1}})) {
    done.notes.emplace_back(
        "the schema that the adapter was trained to answer by is not in the file; give it to the "
        "program that runs it");
  }
  if (IsZero(*adapter, *backend)) done.notes.push_back(ZeroAdapterNote(options.adapter));
  const LoraFactors factors(files, *adapter, *backend);
  const std::vector<LoraPair> pairs = factors.All(where);

  const TargetLock lock(options.out);
  StagedFile file(options.out);  // until it is read back
  GgufWriter writer(file.path(), AdapterMetadata(files, options, factors.alpha()));
  for (const LoraPair& pair : pairs) {
    for (const LoraFactor* factor : {&pair.a, &pair.b}) {
      const WeightFormat format = FormatOfFactor(*factor, options.type);
      writer.Declare(factor->name, format, factor->shape);
      if (format != options.type) done.kept_f16.push_back(factor->name);
    }
  }
  for (const LoraPair& pair : pairs) {
    for (const LoraFactor* factor : {&pair.a, &pair.b})
      writer.Write(factor->name, EncodedFactor(*factor, FormatOfFactor(*factor, options.type)));
  }
  writer.Commit();
  ReadFactorsBack(file.path(), pairs, options.type);
  done.layers = std::ssize(pairs);
  done.bytes = static_cast<int64_t>(std::filesystem::file_size(file.path()));
  file.Commit();
  return done;
}

}  // namespace retort
