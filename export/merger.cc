// SPDX-License-Identifier: Apache-2.0
#include "export/merger.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "export/folder_tensors.h"
#include "model/store/base_check.h"
#include "model/stored_tensors.h"
#include "tensor/quant/quant.h"

namespace retort {
namespace {

constexpr int64_t kPanelRows = 256;

// Encodes a row to `out`, and decodes it from there.
void Store(WeightFormat format, std::span<const float> row, std::byte* out,
           std::span<float> stored) {
  const auto cols = static_cast<int64_t>(row.size());
  EncodeRow(format, row.data(), cols, out);
  const Weight written(format, 1, cols, {out, static_cast<size_t>(RowBytes(format, cols))},
                       nullptr);
  DecodeRow(written, 0, 0, cols, stored.data());
}

}  // namespace

std::vector<WeightedAdapter> AllOf(const MergeOptions& options) {
  std::vector<WeightedAdapter> all = {{options.adapter, options.weight}};
  all.insert(all.end(), options.others.begin(), options.others.end());
  return all;
}

Merger::Merger(const MergeOptions& options, ModelFiles files, const BaseRecord& record,
               Backend& backend)
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
  FindWhatChanges();
}

void Merger::FindWhatChanges() {
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
  if (own_head && files_.tensors.Find(HeadName(files_))) parts_[HeadName(files_)] = WholeHead();
}

std::vector<std::string> Merger::WriteFile(const Path& source, const Path& target) {
  SafetensorsWriter writer(target, {{"format", "pt"}});
  const TensorEntry* table = NewHead();
  if (table && table->file->path() != source) table = nullptr;
  if (table) writer.Declare(HeadName(files_), table->format, table->shape);
  for (const TensorEntry& entry : files_.tensors.entries()) {
    if (entry.file->path() == source) writer.Declare(entry.name, entry.format, entry.shape);
  }
  if (table) WriteMatrixTo(writer, *table, HeadName(files_), WholeHead());
  for (const TensorEntry& entry : files_.tensors.entries()) {
    if (entry.file->path() != source) continue;
    WriteEntry(writer, entry);
    entry.file->Drop(entry.bytes);
  }
  writer.Commit();
  return table ? std::vector<std::string>{HeadName(files_)} : std::vector<std::string>{};
}

void Merger::WriteFolder(WeightFormat format, const Path& folder) {
  const FolderTensors tensors(files_, format, pool_);
  ShardWriter writer(folder);
  tensors.Declare(writer);
  if (Unties()) writer.Declare(HeadName(files_), format, TableSpec().shape);
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
  if (Unties()) write(TableSpec(), HeadName(files_), files_.layout.head);
  writer.Commit();
}

MergeReport Merger::Report() const {
  MergeReport r = report_;
  r.onto = options_.onto;
  r.largest = total_.largest;
  const auto share = [](double part, double whole) {
    return whole == 0 ? 0.0 : std::sqrt(part / whole);
  };
  r.relative = share(total_.delta, total_.weight);
  r.quantisation = share(total_.quantisation, total_.weight);
  r.rounding = share(total_.rounding, total_.delta);
  r.kept = total_.delta == 0 ? 1 : total_.kept / total_.delta;
  return r;
}

bool Merger::HasZeroAdapter() const { return IsZero(*adapter_, backend_); }

// Whether the matrix is counted in the report: those of the blocks.
bool Merger::IsCounted(const TensorSpec& spec) const {
  const LinearSpec* linear = files_.layout.LinearOf(spec);
  return linear && linear->adaptable();
}

// Whether the matrix is computed anew rather than copied.
bool Merger::IsMerged(const TensorSpec& spec) const {
  return merged_.Changes(spec.target.id) || (options_.onto == "nf4" && IsCounted(spec));
}

std::vector<Merger::Part> Merger::WholeHead() const {
  return {{files_.layout.head, 0, files_.layout.of(files_.layout.head).rows}};
}

const TensorSpec& Merger::TableSpec() const {
  return *std::ranges::find_if(files_.layout.tensors, [&](const TensorSpec& spec) {
    return spec.is_matrix() && spec.target.id == files_.layout.embedding;
  });
}

// The embedding of which a head of its own is made that the base's files do not have.
const TensorEntry* Merger::NewHead() const {
  return Unties() && !files_.tensors.Find(HeadName(files_)) ? files_.tensors.Find(TableSpec().name)
                                                            : nullptr;
}

void Merger::WriteMatrixTo(SafetensorsWriter& writer, const TensorEntry& entry,
                           const std::string& name, const std::vector<Part>& parts) {
  for (const Part& part : parts) {
    const Weight whole = files_.tensors.Load(entry.name, entry.shape);
    WriteMatrix(whole.RowRange(part.begin, part.rows), entry.format, part.layer,
                [&](Bytes bytes) { writer.Write(name, bytes); });
  }
}

void Merger::WriteEntry(SafetensorsWriter& writer, const TensorEntry& entry) {
  if (const auto parts = parts_.find(entry.name); parts != parts_.end()) {
    WriteMatrixTo(writer, entry, entry.name, parts->second);
  } else if (const auto vector = vectors_.find(entry.name); vector != vectors_.end()) {
    writer.Write(entry.name, EncodedVector(*vector->second, entry.format));
  } else {
    writer.Write(entry.name, entry.bytes);
  }
}

// A bias or a gain, merged, as a folder stores it.
std::vector<std::byte> Merger::EncodedVector(const TensorSpec& spec, WeightFormat format) const {
  std::vector<float> values = FetchVector(files_, spec);
  merged_.MergeVector(spec, values);
  for (float& v : values) v = static_cast<float>(v - spec.offset);
  const auto count = static_cast<int64_t>(values.size());
  std::vector<std::byte> bytes(static_cast<size_t>(RowBytes(format, count)));
  EncodeRow(format, values.data(), count, bytes.data());
  return bytes;
}

// Writes the matrix of a layer, merged, in `format`.
void Merger::WriteMatrix(const Weight& original, WeightFormat format, LinearId layer,
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
    for (int64_t r = 0; r < rows; ++r) DecodeRow(base, begin + r, 0, cols, onto.data() + r * cols);
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
void Merger::StoreRow(const Weight& original, WeightFormat format, int64_t row,
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

}  // namespace retort
