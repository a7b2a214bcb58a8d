// SPDX-License-Identifier: Apache-2.0
#include "export/merge.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "export/folder_tensors.h"
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

class Merger {
 public:
  Merger(const MergeOptions& options, ModelFiles files, const BaseRecord& record, Backend& backend)
      : options_(options),
        files_(std::move(files)),
        record_(record),
        backend_(backend),
        pool_(backend.threads()),
        adapter_(Adapter::Load(options.adapter, files_.layout, backend)) {
    for (const TensorSpec& spec : files_.layout.tensors) {
      CheckFinite(files_, spec, pool_);
      const LinearSpec* linear = files_.layout.LinearOf(spec);
      if (!linear || !linear->adaptable() || files_.gguf) continue;
      const TensorPlace place = PlaceOf(files_, spec);
      parts_[place.name].push_back({spec.target.id, place.begin, spec.shape[0]});
    }
  }

  // Writes every tensor of one of the base's files, merged, to `target`.
  void WriteFile(const Path& source, const Path& target) {
    SafetensorsWriter writer(target, {{"format", "pt"}});
    for (const TensorEntry& entry : files_.tensors.entries()) {
      if (entry.file->path() == source) writer.Declare(entry.name, entry.format, entry.shape);
    }
    for (const TensorEntry& entry : files_.tensors.entries()) {
      if (entry.file->path() != source) continue;
      if (const auto parts = parts_.find(entry.name); parts != parts_.end()) {
        for (const Part& part : parts->second) {
          const Weight whole = files_.tensors.Load(entry.name, entry.shape);
          WriteMatrix(whole.RowRange(part.begin, part.rows), entry.format, part.layer,
                      [&](Bytes bytes) { writer.Write(entry.name, bytes); });
        }
      } else {
        writer.Write(entry.name, entry.bytes);
      }
      entry.file->Drop(entry.bytes);
    }
    writer.Commit();
  }

  // Writes a GGUF's tensors, merged, as those of a folder.
  void WriteFolder(WeightFormat format, const Path& folder) {
    const FolderTensors tensors(files_, format, pool_);
    ShardWriter writer(folder);
    tensors.Declare(writer);
    const auto memory = MakeHostMemory();
    for (const TensorSpec& spec : files_.layout.tensors) {
      const LinearSpec* linear = files_.layout.LinearOf(spec);
      if (!linear || !linear->adaptable()) {
        tensors.Write(spec, writer);
      } else if (!adapter_->at(spec.target.id) && options_.onto != "nf4") {
        ++report_.matrices;
        tensors.Write(spec, writer);
      } else {
        WriteMatrix(FetchTensor(files_, spec, *memory), format, spec.target.id,
                    [&](Bytes bytes) { writer.Write(spec.name, bytes); });
      }
    }
    writer.Commit();
  }

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

  // Writes the matrix of a layer, merged, in `format`.
  void WriteMatrix(const Weight& original, WeightFormat format, LinearId layer,
                   const Write& write) {
    ++report_.matrices;
    const bool nf4 = options_.onto == "nf4";
    const AdapterSite* pair = adapter_->at(layer);
    if (!pair && !nf4) return write(original.bytes());
    report_.changed += pair != nullptr;
    const Weight base = nf4 ? Requantised(original, WeightFormat::kNF4, record_.double_quant,
                                          backend_.memory(), pool_)
                            : original;
    const int64_t cols = base.cols(), row_bytes = RowBytes(format, cols);
    for (int64_t begin = 0; begin < base.rows(); begin += kPanelRows) {
      const int64_t rows = std::min(kPanelRows, base.rows() - begin);
      const std::vector<float> delta = Delta(pair, begin, rows, cols);
      std::vector<std::byte> bytes(static_cast<size_t>(rows * row_bytes));
      for (int64_t r = 0; r < rows; ++r) {
        MergeRow(original, base, format, begin + r,
                 std::span(delta).subspan(static_cast<size_t>(r * cols), static_cast<size_t>(cols)),
                 pair != nullptr, bytes.data() + r * row_bytes);
      }
      write(bytes);
    }
  }

  // s B A of some rows; zeros without an adapter.
  std::vector<float> Delta(const AdapterSite* pair, int64_t begin, int64_t rows, int64_t cols) {
    if (!pair) return std::vector<float>(static_cast<size_t>(rows * cols));
    Tensor out = backend_.New({rows, cols});
    backend_.Gemm(false, false, pair->scale, pair->b.value.RowRange(begin, rows), pair->a.value, 0,
                  out);
    return backend_.ToFloats(out);
  }

  void MergeRow(const Weight& original, const Weight& base, WeightFormat format, int64_t row,
                std::span<const float> delta, bool adapted, std::byte* out) {
    const auto cols = static_cast<int64_t>(delta.size());
    std::vector<float> before(delta.size()), onto(delta.size()), sum(delta.size()),
        stored(delta.size()), unchanged(delta.size());
    DecodeRow(original, row, 0, cols, before.data());
    DecodeRow(base, row, 0, cols, onto.data());
    for (size_t i = 0; i < delta.size(); ++i) sum[i] = onto[i] + delta[i];
    Store(format, onto, out, unchanged);
    Store(format, sum, out, stored);
    for (size_t i = 0; i < delta.size(); ++i) {
      total_.kept += double{delta[i]} * (double{stored[i]} - unchanged[i]);
      total_.weight += double{before[i]} * before[i];
      total_.delta += double{delta[i]} * delta[i];
      total_.quantisation += std::pow(double{onto[i]} - before[i], 2);
      if (adapted) total_.rounding += std::pow(double{stored[i]} - (double{onto[i]} + delta[i]), 2);
      total_.largest = std::max(total_.largest, std::abs(double{delta[i]}));
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
  // The blocks' linear layers, by the name of the tensor that holds them, in row order.
  std::map<std::string, std::vector<Part>> parts_;
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
  const MergeAudit audit = AuditMerge(
      {options.base, options.adapter, folder, options.audit, options.audit_tokens, options.threads},
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
  if (options.onto.empty()) options.onto = record.weights == "nf4" ? "nf4" : "original";
  if (options.onto != "nf4" && options.onto != "original") {
    throw InputError("--onto '", options.onto, "' is not known; use original or nf4");
  }
  ModelFiles files = OpenModel(options.base);
  if (!files.gguf && options.type != "auto")
    throw InputError("--type ", options.type,
                     " is for a base that is a GGUF; a folder keeps its own type");
  const WeightFormat format =
      files.gguf ? FolderFormat(files, options.type) : files.stored_format();
  CheckTarget(options.out, TargetKind::kFolder, {options.base, options.adapter});
  std::vector<std::string> notes = CheckAdapterBase(options.adapter, files, options.threads);
  const auto backend =
      MakeCpuBackend(options.threads > 0 ? options.threads : AvailableProcessors(), Compute::kF32);
  Merger merger(options, std::move(files), record, *backend);
  const TargetLock lock(options.out);
  AtomicFolder folder(options.out);
  if (merger.files().gguf) {
    merger.WriteFolder(format, folder.path());
  } else {
    for (const Path& file : TensorFiles(merger.files()))
      merger.WriteFile(file, folder.path() / file.filename());
    const Path index = options.base / "model.safetensors.index.json";
    if (std::filesystem::exists(index)) CopyFileAtomically(index, folder.path() / index.filename());
  }
  MergeReport report = Finished(options, format, merger, std::move(notes));
  for (std::string& note :
       WriteModelFiles(merger.files(), folder.path(), merger.files().gguf ? TorchType(format) : ""))
    report.notes.push_back(std::move(note));
  WriteTaughtChat(folder.path(), record);
  if (!options.audit.empty())
    report.audit = Audited(options, record, folder.path(), TraitsOf(format).name);
  folder.Commit();
  return report;
}

}  // namespace retort
