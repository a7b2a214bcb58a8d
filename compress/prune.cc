// SPDX-License-Identifier: Apache-2.0
#include "compress/prune.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>

#include "base/error.h"
#include "eval/loss.h"
#include "formats/safetensors.h"
#include "model/load.h"
#include "model/spec/families.h"
#include "model/store/answer_schema.h"
#include "model/store/base_record.h"
#include "model/store/fingerprint.h"
#include "model/store/folders.h"
#include "model/store/target.h"

namespace retort {
namespace {

constexpr int64_t kPanelBytes = int64_t{4} << 20;  // of rows that are written together

void RefuseGguf(const ModelFiles& source) {
  if (source.gguf)
    throw InputError(source.path.string(), ": prune needs a Hugging Face folder, not a GGUF");
  if (source.quantised())
    throw InputError(source.path.string(), ": prune needs plain weights, not ",
                     source.stored_type(), "; `retort export --to hf --type bf16` makes them");
}

// The name and the kept rows and columns of one tensor.
struct Cut {
  std::string name;                            // the new one
  const std::vector<int64_t>* rows = nullptr;  // kept; null: all
  const std::vector<int64_t>* cols = nullptr;
};

class Pruner {
 public:
  Pruner(const ModelFiles& source, const PrunePlan& plan) : source_(source), plan_(plan) {
    for (const TensorSpec& spec : source.layout.tensors) specs_[spec.name] = spec;
  }

  // Writes the kept part of one source file; no file if nothing of it is kept.
  void WriteFile(const Path& file, const Path& target) {
    std::vector<std::pair<const TensorEntry*, Cut>> cuts;
    for (const TensorEntry& entry : source_.tensors.entries()) {
      if (entry.file->path() != file || !entry.is_weight()) continue;
      if (const auto cut = CutOf(entry.name)) cuts.emplace_back(&entry, *cut);
    }
    if (cuts.empty()) return;
    SafetensorsWriter writer(target, {{"format", "pt"}});
    for (const auto& [entry, cut] : cuts) {
      writer.Declare(cut.name, entry->format, ShapeOf(*entry, cut));
      weight_map_[cut.name] = target.filename().string();
    }
    for (const auto& [entry, cut] : cuts) {
      WriteTensor(*entry, cut, writer);
      entry->file->Drop(entry->bytes);
    }
    writer.Commit();
  }

  // The index of all files written.
  Json Index() const {
    return {{"metadata", {{"total_size", bytes_}}}, {"weight_map", weight_map_}};
  }

 private:
  // nullopt for a tensor of a dropped layer.
  std::optional<Cut> CutOf(const std::string& name) const {
    const Family& family = FamilyOf(source_.config);
    const LayerName before = LayerOfName(family, name);
    if (before.layer < 0) return Cut{name};
    const auto place = std::find(plan_.layers.begin(), plan_.layers.end(), before.layer);
    if (place == plan_.layers.end()) return std::nullopt;
    const auto layer = static_cast<size_t>(place - plan_.layers.begin());
    Cut cut{NameInLayer(family, {place - plan_.layers.begin(), before.rest})};
    const auto spec = specs_.find(name);
    if (plan_.neurons.empty() || spec == specs_.end()) return cut;
    const Target& target = spec->second.target;
    if (target.kind == Target::Kind::kGain) return cut;
    const LinearUse use = source_.layout.of(target.id).use;
    const bool weight = target.kind == Target::Kind::kLinear;
    if (use == LinearUse::kMlpOut && weight) cut.cols = &plan_.neurons[layer];
    if (use == LinearUse::kMlpIn) (weight ? cut.rows : cut.cols) = &plan_.neurons[layer];
    return cut;
  }

  static std::vector<int64_t> ShapeOf(const TensorEntry& entry, const Cut& cut) {
    std::vector<int64_t> shape = entry.shape;
    if (cut.rows) shape.front() = std::ssize(*cut.rows);
    if (cut.cols) shape.back() = std::ssize(*cut.cols);
    return shape;
  }

  void WriteTensor(const TensorEntry& entry, const Cut& cut, SafetensorsWriter& writer) {
    if (!cut.rows && !cut.cols) {
      bytes_ += std::ssize(entry.bytes);
      return writer.Write(cut.name, entry.bytes);
    }
    const int64_t cols = entry.shape.back();
    const auto row_bytes = static_cast<size_t>(RowBytes(entry.format, cols));
    const size_t element =
        row_bytes / static_cast<size_t>(cols);  // safetensors has no block formats
    const auto all = static_cast<int64_t>(entry.bytes.size() / row_bytes);
    const int64_t rows = cut.rows ? std::ssize(*cut.rows) : all;
    std::vector<std::byte> panel;
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t from = cut.rows ? (*cut.rows)[static_cast<size_t>(r)] : r;
      const Bytes row = entry.bytes.subspan(static_cast<size_t>(from) * row_bytes, row_bytes);
      Append(row, element, cut.cols, panel);
      if (std::ssize(panel) < kPanelBytes && r + 1 < rows) continue;
      writer.Write(cut.name, panel);
      bytes_ += std::ssize(panel);
      panel.clear();
    }
  }

  static void Append(Bytes row, size_t element, const std::vector<int64_t>* cols,
                     std::vector<std::byte>& out) {
    if (!cols) {
      out.insert(out.end(), row.begin(), row.end());
      return;
    }
    for (const int64_t c : *cols) {
      const Bytes one = row.subspan(static_cast<size_t>(c) * element, element);
      out.insert(out.end(), one.begin(), one.end());
    }
  }

  const ModelFiles& source_;
  const PrunePlan& plan_;
  std::map<std::string, TensorSpec> specs_;
  Json weight_map_ = Json::object();
  int64_t bytes_ = 0;
};

// The kept parts of the model.
Architecture KeptParts(const ModelFiles& source, const PrunePlan& plan) {
  Architecture kept = source.config;
  kept.blocks.clear();
  for (size_t i = 0; i < plan.layers.size(); ++i) {
    BlockSpec block = source.config.blocks[static_cast<size_t>(plan.layers[i])];
    if (!plan.neurons.empty()) block.mlp.width = std::ssize(plan.neurons[i]);
    kept.blocks.push_back(block);
  }
  return kept;
}

// Changes in config.json what the family says otherwise of the kept parts: sizes, and the layers
// that it describes by their places. Whatever else stands there stays.
void WriteConfig(const ModelFiles& source, const PrunePlan& plan, const Path& folder) {
  const std::string where = source.path.string();
  const Family& family = FamilyOf(source.config);
  const Architecture kept = KeptParts(source, plan);
  Json before, after, j = ReadJson(folder / "config.json");
  family.write(source.config, where, before);
  family.write(kept, where, after);
  for (const auto& [key, value] : after.items()) {
    if (value.is_object()) continue;  // the rope
    if (j.contains(key) || !before.contains(key) || before[key] != value) j[key] = value;
  }
  // transformers checks the list's length also where it has no meaning.
  if (const auto types = j.find("layer_types");
      types != j.end() && std::ssize(*types) == source.config.layers()) {
    Json some = Json::array();
    for (const int64_t layer : plan.layers) some.push_back((*types)[static_cast<size_t>(layer)]);
    *types = some;
  }
  WriteTextAtomically(folder / "config.json", DumpJson(j, 2) + "\n");
  const Architecture written = ReadConfig(folder);
  for (size_t i = 0; i < kept.blocks.size(); ++i) {
    if (written.blocks[i] == kept.blocks[i]) continue;
    throw InputError(
        where, ": layer ", plan.layers[i], " would be layer ", i,
        ", of which the pruned config.json would make another kind; this model cannot be pruned so");
  }
}

void WriteRecord(const ModelFiles& source, const PruneReport& report, const Path& folder) {
  Json j = PruneJson(report);
  j["model"] = {{"path", std::filesystem::absolute(source.path).lexically_normal().string()},
                {"fingerprint", Fingerprint(source)}};
  WriteTextAtomically(folder / kManifestName, DumpJson(Json{{"pruned", j}}, 2) + "\n");
}

// Selects the neurons to keep in each kept layer, and computes their share of the importance.
void ChooseNeurons(const Model& model, const Examples& examples, const PruneOptions& options,
                   PrunePlan& plan, PruneReport& report) {
  const Model layers = WithLayers(model, plan.layers);
  for (const auto& importance : NeuronImportance(layers, examples, options.importance)) {
    const std::vector<int64_t>& kept =
        plan.neurons.emplace_back(LargestPlaces(importance, options.ffn));
    double part = 0;
    for (const int64_t f : kept) part += importance[static_cast<size_t>(f)];
    const double whole = std::accumulate(importance.begin(), importance.end(), 0.0);
    report.neuron_share.push_back(whole > 0 ? part / whole : 1);
  }
}

}  // namespace

Json PruneJson(const PruneReport& r) {
  Json j = {{"by", std::string(NameOf(r.by))},
            {"seed", r.seed},
            {"layers", r.ranking.kept},
            {"dropped", r.ranking.dropped},
            {"importance", r.ranking.importance},
            {"losses", r.ranking.losses},
            {"ffn", r.after.mlp_width()},
            {"neuron_share", r.neuron_share},
            {"loss_before", r.loss_before},
            {"loss_after", r.loss_after},
            {"rows", r.rows},
            {"tokens", r.loss_tokens},
            {"parameters_before", r.parameters_before},
            {"parameters_after", r.parameters_after}};
  return j;
}

void WritePrunedModel(const ModelFiles& source, const PrunePlan& plan, const Path& folder) {
  RefuseGguf(source);
  RETORT_CHECK(
      !plan.layers.empty() && (plan.neurons.empty() || plan.neurons.size() == plan.layers.size()),
      plan.neurons.size(), " lists of neurons for ", plan.layers.size(), " layers");
  CopyModelFiles(source.path, folder);
  if (const auto schema = AnswerSchemaOf(source)) WriteAnswerSchema(folder, *schema);
  WriteConfig(source, plan, folder);
  Pruner pruner(source, plan);
  for (const Path& file : TensorFiles(source)) pruner.WriteFile(file, folder / file.filename());
  const char* index = "model.safetensors.index.json";
  if (std::filesystem::exists(source.path / index))
    WriteTextAtomically(folder / index, DumpJson(pruner.Index(), 2) + "\n");
}

void CheckPruneOptions(const ModelFiles& source, const PruneOptions& options) {
  RefuseGguf(source);
  const std::string where = source.path.string();
  const int64_t layers = source.config.layers(), ffn = source.config.mlp_width();
  for (const BlockSpec& block : source.config.blocks) {
    if (options.ffn > 0 && (block.mlp.experts || block.mlp.fused))
      throw InputError(where, ": --ffn needs an MLP of gate, up and down; this model's ",
                       block.mlp.experts ? "are experts" : "is fused");
  }
  if (options.layers < 0 || options.layers > layers) {
    throw InputError("--layers ", options.layers, ": ", where, " has ", layers,
                     " layers; keep 1 to ", layers, " of them");
  }
  if (options.ffn < 0 || options.ffn >= ffn) {
    throw InputError("--ffn ", options.ffn, ": ", where, " has ", ffn,
                     " neurons in each MLP; keep 1 to ", ffn - 1, " of them");
  }
  if ((options.layers == 0 || options.layers == layers) && options.ffn == 0) {
    throw InputError(where, ": nothing to leave out; give --layers below ", layers,
                     " or --ffn below ", ffn);
  }
  CheckTarget(options.out, TargetKind::kFolder, {source.path});
}

PruneReport Prune(const ModelFiles& source, const Model& model, const Examples& examples,
                  const PruneOptions& options) {
  CheckPruneOptions(source, options);
  const TargetLock lock(options.out);
  AtomicFolder folder(options.out);
  PruneReport report;
  report.by = options.by;
  report.seed = options.importance.seed;
  report.before = source.config;
  const LossTotal before = EvaluateLoss(model, nullptr, examples, options.importance.batch_tokens);
  if (before.tokens == 0) throw InputError("no token of the rows carries loss");
  if (!std::isfinite(before.mean()))
    throw InputError(source.path.string(), ": its loss on the rows is not a finite number");
  report.loss_before = before.mean();
  report.loss_tokens = before.tokens;
  report.rows = examples.size();

  const int64_t drop = options.layers == 0 ? 0 : source.config.layers() - options.layers;
  report.ranking = RankLayers(model, examples, options.by, drop, options.importance);
  PrunePlan plan{report.ranking.kept, {}};
  if (options.ffn > 0) ChooseNeurons(model, examples, options, plan, report);

  WritePrunedModel(source, plan, folder.path());
  const ModelFiles written = OpenModel(folder.path());
  const auto student = LoadModel(written, {}, model.backend);
  report.after = written.config;
  report.loss_after =
      EvaluateLoss(*student, nullptr, examples, options.importance.batch_tokens).mean();
  report.parameters_before = LayoutOf(report.before).parameters();
  report.parameters_after = LayoutOf(report.after).parameters();
  WriteRecord(source, report, folder.path());
  folder.Commit();
  return report;
}

}  // namespace retort
