// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>

#include "export/importance.h"
#include "formats/gguf.h"

namespace retort {
namespace {

struct Entry {
  std::vector<float> sums;      // [experts, inputs]
  std::vector<int64_t> counts;  // [experts]: tokens
};
using Entries = std::map<std::string, Entry>;  // by GGUF name, the order of llama.cpp's files

Entries EntriesOf(const Layout& layout, const std::vector<InputSquares>& inputs) {
  Entries out;
  for (const TensorSpec& spec : layout.tensors) {
    if (!spec.is_matrix() || spec.split.present()) continue;
    const InputSquares& of = inputs[static_cast<size_t>(spec.target.id)];
    if (of.sums.empty()) continue;
    Entry& entry = out[spec.gguf_name];
    if (spec.expert < 0 && !entry.sums.empty()) continue;  // another part of a fused matrix
    for (const double sum : of.sums) entry.sums.push_back(static_cast<float>(sum));
    entry.counts.push_back(of.tokens);
  }
  return out;
}

void WriteGgufForm(const Entries& entries, const ImportanceSource& source, const Path& target) {
  GgufMetadata metadata(target.string());
  metadata.Set("general.type", std::string("imatrix"));
  metadata.Set("imatrix.datasets", GgufArray(std::vector<std::string>{source.dataset}));
  metadata.Set("imatrix.chunk_count", static_cast<uint32_t>(source.rows));
  metadata.Set("imatrix.chunk_size", static_cast<uint32_t>(source.row_tokens));
  GgufWriter writer(target, metadata);
  for (const auto& [name, entry] : entries) {
    const int64_t experts = std::ssize(entry.counts);
    writer.Declare(name + ".in_sum2", WeightFormat::kF32,
                   {experts, std::ssize(entry.sums) / experts});
    writer.Declare(name + ".counts", WeightFormat::kF32, {experts, 1});
  }
  for (const auto& [name, entry] : entries) {
    const std::vector<float> counts(entry.counts.begin(), entry.counts.end());
    writer.Write(name + ".in_sum2", std::as_bytes(std::span(entry.sums)));
    writer.Write(name + ".counts", std::as_bytes(std::span(counts)));
  }
  writer.Commit();
}

// The values of a .dat are the mean squares times the number of chunks that a matrix saw.
void WriteDatForm(const Entries& entries, const ImportanceSource& source, const Path& target) {
  AtomicFile file(target);
  const auto number = [&](int64_t value) {
    const auto narrow = static_cast<int32_t>(value);
    file.Write(std::as_bytes(std::span(&narrow, 1)));
  };
  const auto text = [&](std::string_view value) {
    number(std::ssize(value));
    file.Write(value);
  };
  number(std::ssize(entries));
  for (const auto& [name, entry] : entries) {
    const int64_t most = *std::ranges::max_element(entry.counts);
    const int64_t chunks = (most + source.row_tokens - 1) / source.row_tokens;
    const size_t inputs = entry.sums.size() / entry.counts.size();
    std::vector<float> values(entry.sums.size());
    for (size_t i = 0; i < values.size(); ++i) {
      const auto count = static_cast<float>(entry.counts[i / inputs]);
      values[i] = (count > 0 ? entry.sums[i] / count : 1.0f) * static_cast<float>(chunks);
    }
    text(name);
    number(chunks);
    number(std::ssize(values));
    file.Write(std::as_bytes(std::span(values)));
  }
  number(source.rows);
  text(source.dataset);
  file.Commit();
}

}  // namespace

int64_t WriteImportance(const Layout& layout, const std::vector<InputSquares>& inputs,
                        const ImportanceSource& source, const Path& target) {
  const Entries entries = EntriesOf(layout, inputs);
  if (target.extension() == ".dat")
    WriteDatForm(entries, source, target);
  else
    WriteGgufForm(entries, source, target);
  return std::ssize(entries);
}

}  // namespace retort
