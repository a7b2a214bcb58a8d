// SPDX-License-Identifier: Apache-2.0
#include "export/importance.h"

#include <cmath>
#include <cstring>

#include "base/strings.h"
#include "base/text.h"
#include "formats/cursor.h"
#include "formats/gguf.h"

namespace retort {
namespace {

constexpr std::string_view kSums = ".in_sum2", kCounts = ".counts";

std::vector<float> Numbers(Bytes bytes, const std::string& name, const std::string& where) {
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
  for (const float v : values) {
    if (!(std::isfinite(v) && v >= 0))
      throw InputError(where, ": ", Quoted(name), " holds ", v,
                       "; sums of squares and counts are finite and not below zero");
  }
  return values;
}

std::vector<float> Numbers(const TensorEntry& entry, const std::string& where) {
  if (!entry.is_weight() || entry.format != WeightFormat::kF32)
    throw InputError(where, ": tensor ", Quoted(entry.name), " is ", entry.type_name(),
                     " where an importance matrix has f32");
  return Numbers(entry.bytes, entry.name, where);
}

bool IsGguf(const MappedFile& file) {
  constexpr std::string_view kMagic = "GGUF";
  return file.bytes().size() >= kMagic.size() &&
         std::memcmp(file.bytes().data(), kMagic.data(), kMagic.size()) == 0;
}

}  // namespace

Importance Importance::Read(const Path& path) {
  Importance out;
  out.where_ = path.string();
  if (IsGguf(*MappedFile::Open(path)))
    out.ReadTensors(path);
  else
    out.ReadDat(path);
  return out;
}

void Importance::ReadDat(const Path& path) {
  const auto file = MappedFile::Open(path);
  Cursor at(file->bytes(), where_);
  at.SetPlace("importance matrix");
  const auto matrices = at.Read<uint32_t>("the number of matrices");
  at.CheckCount(matrices, 4 * sizeof(uint32_t), "matrices");
  for (uint32_t i = 0; i < matrices; ++i) {
    const Bytes text = at.ReadBytes(at.Read<uint32_t>("the length of a name"), "a name");
    const std::string name(reinterpret_cast<const char*>(text.data()), text.size());
    at.SetPlace(Cat("matrix ", Quoted(name)));
    const auto divisor = at.Read<int32_t>("what its values are divided by");
    const auto count = at.Read<uint32_t>("the number of its values");
    Entry entry;
    entry.experts = 0;
    entry.values =
        Numbers(at.ReadBytes(uint64_t{count} * sizeof(float), "its values"), name, where_);
    for (float& value : entry.values) value = divisor > 0 ? value / static_cast<float>(divisor) : 1;
    if (entry.values.empty() || !entries_.emplace(name, std::move(entry)).second)
      at.Fail("a name without values, or given twice");
  }
  if (empty()) at.Fail("holds no matrix");
}

void Importance::ReadTensors(const Path& path) {
  const GgufFile file = ReadGguf(path);
  for (const TensorEntry& sums : file.tensors.entries()) {
    if (!sums.name.ends_with(kSums)) continue;
    const std::string name = sums.name.substr(0, sums.name.size() - kSums.size());
    const TensorEntry* counted = file.tensors.Find(name + std::string(kCounts));
    if (!counted) throw InputError(where_, ": ", Quoted(name), " has sums without counts");
    Entry entry;
    entry.values = Numbers(sums, where_);
    const std::vector<float> counts = Numbers(*counted, where_);
    entry.experts = std::ssize(counts);
    if (counts.empty() || entry.values.size() % counts.size() != 0)
      throw InputError(where_, ": ", Quoted(name), " has ", entry.values.size(), " sums and ",
                       counts.size(), " counts, which do not divide them");
    const size_t inputs = entry.values.size() / counts.size();
    for (size_t i = 0; i < entry.values.size(); ++i) {
      const float count = std::round(counts[i / inputs]);
      entry.values[i] = count > 0 ? entry.values[i] / count : 1.0f;
    }
    entries_.emplace(name, std::move(entry));
  }
  if (empty())
    throw InputError(where_, ": is no importance matrix: it has no tensor NAME", kSums,
                     "; `retort calibrate` and llama.cpp's llama-imatrix write such files");
}

std::span<const float> Importance::Of(const std::string& gguf_name, int64_t expert, int64_t experts,
                                      int64_t inputs) const {
  const auto found = entries_.find(gguf_name);
  if (found == entries_.end()) return {};
  const Entry& entry = found->second;
  const int64_t wanted = std::max<int64_t>(1, experts);
  const bool agrees = entry.experts == wanted || entry.experts == 0;
  if (!agrees || std::ssize(entry.values) != wanted * inputs)
    throw InputError(where_, ": ", Quoted(gguf_name), " has ", entry.values.size(), " numbers",
                     entry.experts > 1 ? Cat(" of ", entry.experts, " experts") : "",
                     "; the model has ", wanted, " x ", inputs,
                     ": use the importance matrix of this model");
  return std::span(entry.values)
      .subspan(static_cast<size_t>(std::max<int64_t>(0, expert) * inputs),
               static_cast<size_t>(inputs));
}

}  // namespace retort
