// SPDX-License-Identifier: Apache-2.0
#include "export/importance.h"

#include <cmath>
#include <cstring>

#include "base/strings.h"
#include "base/text.h"
#include "formats/gguf.h"

namespace retort {
namespace {

constexpr std::string_view kSums = ".in_sum2", kCounts = ".counts";

std::vector<float> Numbers(const TensorEntry& entry, const std::string& where) {
  if (!entry.is_weight() || entry.format != WeightFormat::kF32)
    throw InputError(where, ": tensor ", Quoted(entry.name), " is ", entry.type_name(),
                     " where an importance matrix has f32");
  std::vector<float> values(entry.bytes.size() / sizeof(float));
  std::memcpy(values.data(), entry.bytes.data(), entry.bytes.size());
  for (const float v : values) {
    if (!(std::isfinite(v) && v >= 0))
      throw InputError(where, ": tensor ", Quoted(entry.name), " holds ", v,
                       "; sums of squares and counts are finite and not below zero");
  }
  return values;
}

}  // namespace

Importance Importance::Read(const Path& path) {
  const GgufFile file = ReadGguf(path);
  Importance out;
  out.where_ = path.string();
  for (const TensorEntry& sums : file.tensors.entries()) {
    if (!sums.name.ends_with(kSums)) continue;
    const std::string name = sums.name.substr(0, sums.name.size() - kSums.size());
    const TensorEntry* counted = file.tensors.Find(name + std::string(kCounts));
    if (!counted) throw InputError(out.where_, ": ", Quoted(name), " has sums without counts");
    Entry entry;
    entry.values = Numbers(sums, out.where_);
    const std::vector<float> counts = Numbers(*counted, out.where_);
    entry.experts = std::ssize(counts);
    if (counts.empty() || entry.values.size() % counts.size() != 0)
      throw InputError(out.where_, ": ", Quoted(name), " has ", entry.values.size(), " sums and ",
                       counts.size(), " counts, which do not divide them");
    const size_t inputs = entry.values.size() / counts.size();
    for (size_t i = 0; i < entry.values.size(); ++i) {
      const float count = std::round(counts[i / inputs]);
      entry.values[i] = count > 0 ? entry.values[i] / count : 1.0f;
    }
    out.entries_.emplace(name, std::move(entry));
  }
  if (out.empty())
    throw InputError(out.where_, ": is no importance matrix: it has no tensor NAME", kSums,
                     "; llama.cpp's llama-imatrix writes such files");
  return out;
}

std::span<const float> Importance::Of(const std::string& gguf_name, int64_t expert, int64_t experts,
                                      int64_t inputs) const {
  const auto found = entries_.find(gguf_name);
  if (found == entries_.end()) return {};
  const Entry& entry = found->second;
  const int64_t wanted = std::max<int64_t>(1, experts);
  if (entry.experts != wanted || std::ssize(entry.values) != wanted * inputs)
    throw InputError(where_, ": ", Quoted(gguf_name), " has ", entry.values.size(), " numbers of ",
                     entry.experts, " experts; the model has ", wanted, " x ", inputs,
                     ": use the importance matrix of this model");
  return std::span(entry.values)
      .subspan(static_cast<size_t>(std::max<int64_t>(0, expert) * inputs),
               static_cast<size_t>(inputs));
}

}  // namespace retort
