// SPDX-License-Identifier: Apache-2.0
#include "export/merge.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "export/folder_tensors.h"
#include "export/merged_weights.h"
#include "formats/safetensors.h"
#include "model/store/base_check.h"
#include "model/store/chat_files.h"
#include "model/store/folders.h"
#include "model/store/target.h"
#include "tensor/quant/quant.h"

namespace retort {
namespace {

constexpr int64_t kPanelRows = 256;
// Limits of what rounding may do to an adapter's change.
constexpr double kLeastKept = 0.5, kMostRounding = 1;
constexpr double kNotedKept = 0.9, kNotedRounding = 0.5;

// Sums over elements of W, s B A and the errors, for the report: squares, and the largest |s B A|.
struct Sums {
  double delta = 0, weight = 0, quantisation = 0, rounding = 0, largest = 0;
  double kept = 0;  // the product of s B A with the change that is stored
};

std::vector<WeightedAdapter> AllOf(const MergeOptions& options) {
  std::vector<WeightedAdapter> all = {{options.adapter, options.weight}};
  all.insert(all.end(), options.others.begin(), options.others.end());
  return all;
}

class Merger {
 public:
  Merger(const MergeOptions& options, ModelFiles files, const BaseRecord& record, Backend& backend)
      : options_(options),
        files_(std::move(files)),
        record_(record),
        backend_(backend),
        pool_(backend.threads()),
        adapter_(LoadAdapters(AllOf(options), files_.layout, backend, {&files_})),
        merged_(files_, *adapter_, backend) {
    if (Unties() && !files_.gguf && !files_.tensors.Find(TableSpec().name)) {
      throw InputError(files_.path.string(),
                       ": holds only the head of a tied pair, of which the "
                       "adapter changes one; save the base again with transformers");
    }
    std::set<std::string> merged_names;
    for (const TensorSpec& spec : files_.layout.tensors) {
      CheckFinite(files_, spec, pool_);
      report_.matrices += IsCounted(spec) || (spec.is_matrix() && IsMerged(spec));
      if (IsMadeAnew()) continue;
      const TensorPlace place = PlaceOf(files_, spec);
      if (spec.is_matrix())
        parts_[place.name].push_back({spec.target.id, place.begin, spec.shape[0]});
      if (spec.is_matrix() && IsMerged(spec)) merged_names.insert(place.name);
      if (!spec.is_matrix() && merged_.ChangesVector(spec)) vectors_[place.name] = &spec;
    }
    std::erase_if(parts_, [&](const auto& one) { return !merged_names.contains(one.first); });
    const bool own_head = files_.config.head.tied && merged_.Changes(files_.layout.head);
    report_.matrices += own_head && Unties();
    // A copy of the embedding, stored as the head.
    if (own_head && files_.tensors.Find(HeadName())) parts_[HeadName()] = WholeHead();
  }

  // Writes every tensor of one of the base's files, merged, to `target`. Returns the names of those
  // that the base's file does not have.
  std::vector<std::string> WriteFile(const Path& source, const Path& target) {
    SafetensorsWriter writer(target, {{"format", "pt"}});
    const TensorEntry* table = NewHead();
    if (table && table->file->path() != source) table = nullptr;
    if (table) writer.Declare(HeadName(), table->format, table->shape);
    for (const TensorEntry& entry : files_.tensors.entries()) {
      if (entry.file->path() == source) writer.Declare(entry.name, entry.format, entry.shape);
    }
    if (table) WriteMatrixTo(writer, *table, HeadName(), WholeHead());
    for (const TensorEntry& entry : files_.tensors.entries()) {
      if (entry.file->path() != source) continue;
      WriteEntry(writer, entry);
      entry.file->Drop(entry.bytes);
    }
    writer.Commit();
    return table ? std::vector<std::string>{HeadName()} : std::vector<std::string>{};
  }

  // Whether the base's tensors are no folder's of plain values.
  bool IsMadeAnew() const { return files_.gguf || files_.quantised(); }

  // Writes such tensors, merged, as those of a folder.
  void WriteFolder(WeightFormat format, const Path& folder) {
    const FolderTensors tensors(files_, format, pool_);
    ShardWriter writer(folder);
    tensors.Declare(writer);
    if (Unties()) writer.Declare(HeadName(), format, TableSpec().shape);
    const auto memory = MakeHostMemory();
    const auto write = [&](const TensorSpec& spec, const std::string& name, LinearId layer) {
      WriteMatrix(FetchTensor(files_, spec, *memory), tensors.FormatOf(spec), layer,
                  [&](Bytes bytes) { writer.Write(name, bytes); });
    };
    for (const TensorSpec& spec : files_.layout.tensors) {
      if (spec.is_matrix() && IsMerged(spec)) {
        write(spec, spec.name, spec.target.id);
      } else if (!spec.is_matrix() && merged_.ChangesVector(spec)) {
        writer.Write(spec.name, EncodedVector(spec, tensors.FormatOf(spec)));
      } else {
        tensors.Write(spec, writer);
      }
    }
    if (Unties()) write(TableSpec(), HeadName(), files_.layout.head);
    writer.Commit();
  }

  // Whether embedding and head, which were one, are two after the merge.
  bool Unties() const { return merged_.Unties(); }

  MergeReport Report() const {
    MergeReport r = report_;
    r.onto = options_.onto;
    r.largest = total_.largest;
    const auto share = [](double part, double whole) {
      return whole > 0 ? std::sqrt(part / whole) : 0.0;
    };
    r.relative = share(total_.delta, total_.weight);
    r.quantisation = share(total_.quantisation, total_.weight);
    r.rounding = share(total_.rounding, total_.delta);
    r.kept = total_.delta > 0 ? total_.kept / total_.delta : 1;
    return r;
  }

  const ModelFiles& files() const { return files_; }
  bool HasZeroAdapter() const { return IsZero(*adapter_, backend_); }

 private:
  // The rows of a file's tensor that belong to one linear layer: all rows, or a slice of stacked
  // experts.
  struct Part {
    LinearId layer;
    int64_t begin, rows;
  };

  using Write = std::function<void(Bytes)>;

  // Whether the matrix is counted in the report: those of the blocks.
  bool IsCounted(const TensorSpec& spec) const {
    const LinearSpec* linear = files_.layout.LinearOf(spec);
    return linear && linear->adaptable();
  }
  // Whether the matrix is computed anew rather than copied.
  bool IsMerged(const TensorSpec& spec) const {
    return merged_.Changes(spec.target.id) || (options_.onto == "nf4" && IsCounted(spec));
  }
  std::string HeadName() const { return files_.layout.of(files_.layout.head).name + ".weight"; }
  std::vector<Part> WholeHead() const {
    return {{files_.layout.head, 0, files_.layout.of(files_.layout.head).rows}};
  }
  const TensorSpec& TableSpec() const {
    return *std::ranges::find_if(files_.layout.tensors, [&](const TensorSpec& spec) {
      return spec.is_matrix() && spec.target.id == files_.layout.embedding;
    });
  }
  // The embedding of which a head of its own is made that the base's files do not have.
  const TensorEntry* NewHead() const {
    return Unties() && !files_.tensors.Find(HeadName()) ? files_.tensors.Find(TableSpec().name)
                                                        : nullptr;
  }

  void WriteMatrixTo(SafetensorsWriter& writer, const TensorEntry& entry, const std::string& name,
                     const std::vector<Part>& parts) {
    for (const Part& part : parts) {
      const Weight whole = files_.tensors.Load(entry.name, entry.shape);
      WriteMatrix(whole.RowRange(part.begin, part.rows), entry.format, part.layer,
                  [&](Bytes bytes) { writer.Write(name, bytes); });
    }
  }

  void WriteEntry(SafetensorsWriter& writer, const TensorEntry& entry) {
    if (const auto parts = parts_.find(entry.name); parts != parts_.end()) {
      WriteMatrixTo(writer, entry, entry.name, parts->second);
    } else if (const auto vector = vectors_.find(entry.name); vector != vectors_.end()) {
      writer.Write(entry.name, EncodedVector(*vector->second, entry.format));
    } else {
      writer.Write(entry.name, entry.bytes);
    }
  }

  // A bias or a gain, merged, as a folder stores it.
  std::vector<std::byte> EncodedVector(const TensorSpec& spec, WeightFormat format) const {
    std::vector<float> values = FetchVector(files_, spec);
    merged_.MergeVector(spec, values);
    for (float& v : values) v = static_cast<float>(v - spec.offset);
    const auto count = static_cast<int64_t>(values.size());
    std::vector<std::byte> bytes(static_cast<size_t>(RowBytes(format, count)));
    EncodeRow(format, values.data(), count, bytes.data());
    return bytes;
  }

  // Writes the matrix of a layer, merged, in `format`.
  void WriteMatrix(const Weight& original, WeightFormat format, LinearId layer,
                   const Write& write) {
    const bool in_block = files_.layout.of(layer).adaptable(),
               nf4 = options_.onto == "nf4" && in_block;
    const bool changed = merged_.Changes(layer);
    report_.changed += changed;
    if (!changed && !nf4 && original.format() == format) return write(original.bytes());
    const Weight base = nf4 ? Requantised(original, WeightFormat::kNF4, record_.double_quant,
                                          backend_.memory(), pool_)
                            : original;
    const int64_t cols = base.cols(), row_bytes = RowBytes(format, cols);
    for (int64_t begin = 0; begin < base.rows(); begin += kPanelRows) {
      const int64_t rows = std::min(kPanelRows, base.rows() - begin);
      std::vector<float> onto(static_cast<size_t>(rows * cols));
      for (int64_t r = 0; r < rows; ++r)
        DecodeRow(base, begin + r, 0, cols, onto.data() + r * cols);
      std::vector<float> sum = onto;
      if (changed) merged_.MergeRows(layer, begin, sum);
      std::vector<std::byte> bytes(static_cast<size_t>(rows * row_bytes));
      for (int64_t r = 0; r < rows; ++r) {
        const auto row = [&](const std::vector<float>& of) {
          return std::span(of).subspan(static_cast<size_t>(r * cols), static_cast<size_t>(cols));
        };
        StoreRow(original, format, begin + r, row(onto), row(sum), bytes.data() + r * row_bytes);
      }
      write(bytes);
    }
  }

  // Encodes a merged row and counts what it changes and what rounding takes.
  void StoreRow(const Weight& original, WeightFormat format, int64_t row,
                std::span<const float> onto, std::span<const float> sum, std::byte* out) {
    std::vector<float> before(sum.size()), stored(sum.size()), unchanged(sum.size());
    DecodeRow(original, row, 0, std::ssize(sum), before.data());
    Store(format, onto, out, unchanged);
    Store(format, sum, out, stored);
    for (size_t i = 0; i < sum.size(); ++i) {
      const double delta = double{sum[i]} - onto[i];
      total_.kept += delta * (double{stored[i]} - unchanged[i]);
      total_.weight += double{before[i]} * before[i];
      total_.delta += delta * delta;
      total_.quantisation += std::pow(double{onto[i]} - before[i], 2);
      if (delta != 0) total_.rounding += std::pow(double{stored[i]} - sum[i], 2);
      total_.largest = std::max(total_.largest, std::abs(delta));
    }
  }

  // Encodes a row to `out`, and decodes it from there.
  static void Store(WeightFormat format, std::span<const float> row, std::byte* out,
                    std::span<float> stored) {
    const auto cols = static_cast<int64_t>(row.size());
    EncodeRow(format, row.data(), cols, out);
    const Weight written(format, 1, cols, {out, static_cast<size_t>(RowBytes(format, cols))},
                         nullptr);
    DecodeRow(written, 0, 0, cols, stored.data());
  }

  const MergeOptions& options_;
  const ModelFiles files_;
  const BaseRecord& record_;
  Backend& backend_;
  ThreadPool pool_;
  std::unique_ptr<Adapter> adapter_;
  const MergedWeights merged_;
  // What is computed anew: matrices, by the name of the tensor that holds them, in row order, and
  // biases and gains.
  std::map<std::string, std::vector<Part>> parts_;
  std::map<std::string, const TensorSpec*> vectors_;
  MergeReport report_;
  Sums total_;
};

// Adds what the user should know of a merge whose rounding takes much of the adapter away, and
// refuses one that takes too much.
void JudgeRounding(const MergeOptions& options, std::string_view format, MergeReport& report) {
  char text[160];
  std::snprintf(text, sizeof text,
                "%.1f %% of the adapter's change is left after rounding, whose error is %.2g times "
                "the change",
                100 * report.kept, report.rounding);
  const std::string said = Cat("rounding to ", format, ": ", text);
  if (!(report.kept >= kLeastKept && report.rounding <= kMostRounding)) {  // or not a number
    if (!options.force) {
      throw Failure(options.adapter.string(), ": ", said,
                    "; the adapter is too weak to be merged into this base: use it unmerged, train "
                    "it longer, or merge all the same with --force");
    }
    report.notes.push_back(said);
  } else if (report.kept < kNotedKept || report.rounding > kNotedRounding) {
    report.notes.push_back(said);
  }
}

MergeReport Finished(const MergeOptions& options, WeightFormat format, const Merger& merger,
                     std::vector<std::string> notes) {
  MergeReport report = merger.Report();
  report.notes = std::move(notes);
  if (merger.HasZeroAdapter()) {
    report.notes.push_back(ZeroAdapterNote(options.adapter));
  } else {
    JudgeRounding(options, TraitsOf(format).name, report);
  }
  return report;
}

// How the merged model in `folder` predicts.
MergeAudit Audited(const MergeOptions& options, const BaseRecord& record, const Path& folder,
                   std::string_view format) {
  MergeAudit audit = AuditMerge(
      {options.base, AllOf(options), folder, options.audit, options.audit_tokens, options.threads},
      record);
  if (!(audit.lost() <= kMostLost) && !options.force) {  // or not a number
    char text[200];
    std::snprintf(text, sizeof text,
                  "the merged model is %.3g nats a token away from base and adapter as trained, "
                  "%.0f %% of what the adapter changes (limit: %.0f %%)",
                  audit.merged.mean_kl, 100 * audit.lost(), 100 * kMostLost);
    throw Failure(options.adapter.string(), ": merged onto ", options.onto, ", stored as ", format,
                  ": ", text, "; merge onto the format that it was trained on (", record.weights,
                  "), train it on the one that is to be served ('model.weights'), or merge all the "
                  "same with --force");
  }
  return audit;
}

void SetInJson(const Path& path, const std::function<void(Json&)>& change) {
  Json j = ReadJson(path);
  change(j);
  WriteTextAtomically(path, DumpJson(j, 2) + "\n");
}

// The files of a folder's tensors and their index.
void WriteFiles(Merger& merger, const Path& base, const Path& folder) {
  std::map<std::string, std::string> new_tensors;  // their files
  for (const Path& file : TensorFiles(merger.files())) {
    const std::string name = file.filename().string();
    for (std::string& tensor : merger.WriteFile(file, folder / name))
      new_tensors[std::move(tensor)] = name;
  }
  const Path index = base / "model.safetensors.index.json";
  if (!std::filesystem::exists(index)) return;
  CopyFileAtomically(index, folder / index.filename());
  if (new_tensors.empty()) return;
  SetInJson(folder / index.filename(), [&](Json& j) {
    for (const auto& [tensor, file] : new_tensors) j["weight_map"][tensor] = file;
  });
}

}  // namespace

Json MergeJson(const MergeReport& r) {
  Json out = {{"onto", r.onto},         {"matrices", r.matrices}, {"changed", r.changed},
              {"largest", r.largest},   {"relative", r.relative}, {"quantisation", r.quantisation},
              {"rounding", r.rounding}, {"kept", r.kept},         {"notes", r.notes}};
  if (r.audit) out["audit"] = MergeAuditJson(*r.audit);
  return out;
}

MergeReport Merge(const MergeOptions& given) {
  MergeOptions options = given;
  const auto recorded = ReadBaseRecord(options.adapter);
  const BaseRecord record = recorded.value_or(BaseRecord{"", "", "as-is", true, ""});
  if (options.base.empty()) options.base = record.path;
  if (options.base.empty())
    throw InputError(options.adapter.string(), ": has no retort.json; name its --base");
  for (const WeightedAdapter& one : options.others) {
    const auto other = ReadBaseRecord(one.folder);
    if (options.onto.empty() && other && (other->weights == "nf4") != (record.weights == "nf4"))
      throw InputError(one.folder.string(), " and ", options.adapter.string(),
                       " were trained on the base in different forms; say --onto original or nf4");
  }
  if (options.onto.empty()) options.onto = record.weights == "nf4" ? "nf4" : "original";
  if (options.onto != "nf4" && options.onto != "original") {
    throw InputError("--onto '", options.onto, "' is not known; use original or nf4");
  }
  ModelFiles files = OpenModel(options.base);
  const bool anew = files.gguf || files.quantised();
  if (!anew && options.type != "auto")
    throw InputError("--type ", options.type,
                     " is for a base that is quantised; a folder keeps its own type");
  const WeightFormat format = anew ? FolderFormat(files, options.type) : files.stored_format();
  std::vector<Path> sources = {options.base};
  std::vector<std::string> notes;
  for (const WeightedAdapter& one : AllOf(options)) {
    sources.push_back(one.folder);
    std::ranges::move(CheckAdapterBase(one.folder, files, options.threads),
                      std::back_inserter(notes));
  }
  CheckTarget(options.out, TargetKind::kFolder, sources);
  const auto backend =
      MakeCpuBackend(options.threads > 0 ? options.threads : AvailableProcessors(), Compute::kF32);
  Merger merger(options, std::move(files), record, *backend);
  const TargetLock lock(options.out);
  AtomicFolder folder(options.out);
  if (merger.IsMadeAnew()) {
    merger.WriteFolder(format, folder.path());
  } else {
    WriteFiles(merger, options.base, folder.path());
  }
  MergeReport report = Finished(options, format, merger, std::move(notes));
  for (std::string& note :
       WriteModelFiles(merger.files(), folder.path(), merger.IsMadeAnew() ? TorchType(format) : ""))
    report.notes.push_back(std::move(note));
  if (merger.Unties()) {
    SetInJson(folder.path() / "config.json", [](Json& j) { j["tie_word_embeddings"] = false; });
    report.notes.push_back(
        "the adapter parts embedding and head, which were one in the base: the "
        "model has a head of its own");
  }
  WriteTaughtChat(folder.path(), record);
  if (!options.audit.empty())
    report.audit = Audited(options, record, folder.path(), TraitsOf(format).name);
  folder.Commit();
  return report;
}

}  // namespace retort
