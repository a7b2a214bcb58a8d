// SPDX-License-Identifier: Apache-2.0
#include "formats/safetensors.h"

#include <algorithm>
#include <array>
#include <map>
#include <numeric>
#include <optional>
#include <set>

#include "base/checked.h"
#include "base/text.h"
#include "formats/cursor.h"
#include "formats/limits.h"
#include "formats/safetensors_header.h"

namespace retort {
namespace {

constexpr uint64_t kMaxHeader = 100'000'000;  // the reference implementation's limit

struct DtypeBits {
  std::string_view name;
  uint64_t bits;
};
constexpr std::array<DtypeBits, 22> kDtypes = {{
    {"F32", 32},    {"F16", 16},        {"BF16", 16},       {"F64", 64},    {"I64", 64},
    {"I32", 32},    {"I16", 16},        {"I8", 8},          {"U64", 64},    {"U32", 32},
    {"U16", 16},    {"U8", 8},          {"BOOL", 8},        {"F8_E4M3", 8}, {"F8_E5M2", 8},
    {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"F6_E2M3", 6}, {"F6_E3M2", 6},
    {"F4", 4},      {"C64", 64},
}};

// Checks the size against the offsets. For dtypes that are not in the table these are only known to
// hold at least a bit for each element.
void CheckSize(const SafetensorsHeader::Tensor& t, const std::string& place) {
  if (t.end < t.begin) {
    throw InputError(place, ": data_offsets ", t.begin, " to ", t.end, " run backwards");
  }
  const uint64_t elements = ElementsOf(t.shape, place);
  const auto* known = std::find_if(kDtypes.begin(), kDtypes.end(),
                                   [&](const DtypeBits& d) { return d.name == t.dtype; });
  if (known == kDtypes.end()) {
    if (LeastBytes(elements) <= t.end - t.begin) return;
    throw InputError(place, ": ", elements, " elements of dtype ", Quoted(t.dtype),
                     " cannot be stored in the ", t.end - t.begin, " bytes of data_offsets");
  }
  const uint64_t bits = CheckedMul(elements, known->bits, place);
  if (bits % 8 != 0 || bits / 8 != t.end - t.begin) {
    throw InputError(place, ": ", t.dtype, " ", ShapeText(t.shape), " takes ", bits / 8,
                     " bytes, data_offsets give ", t.end - t.begin);
  }
}

// The tensors must fill the data section: sorted by offset, each begins where the previous one
// ends.
void CheckTiling(const SafetensorsHeader& header, uint64_t data_bytes, uint64_t file_bytes,
                 const std::string& where) {
  std::vector<const SafetensorsHeader::Tensor*> order;
  for (const auto& t : header.tensors) order.push_back(&t);
  std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return std::pair(a->begin, a->end) < std::pair(b->begin, b->end);
  });
  uint64_t end = 0;
  for (const auto* t : order) {
    if (t->begin != end) {
      throw InputError(
          where, ": tensor ", Quoted(t->name), ": begins at ", t->begin,
          t->begin < end ? ", inside another that ends at " : ", leaving a hole after ", end);
    }
    end = t->end;
  }
  if (end == data_bytes) return;
  const uint64_t want = CheckedAdd(file_bytes - data_bytes, end, where);
  throw InputError(where, ": ", end > data_bytes ? "truncated" : "more bytes than tensors",
                   ": the header describes ", want, " bytes, the file has ", file_bytes);
}

std::set<std::string> SafetensorsFilesIn(const Path& folder) {
  std::set<std::string> names;
  std::error_code problem;
  std::filesystem::directory_iterator it(folder, problem);
  if (problem) throw InputError(folder.string(), ": ", problem.message());
  for (const auto& file : it) {
    if (file.path().extension() == ".safetensors") names.insert(file.path().filename().string());
  }
  return names;
}

TensorTable ReadShards(const Path& folder, const Path& index) {
  const std::string where = index.string();
  std::map<std::string, std::string, std::less<>> shard_of;
  std::set<std::string> shards;
  for (auto& [tensor, shard] : ParseSafetensorsIndex(ReadText(index), where)) {
    if (shard.empty() || shard.find_first_of(std::string_view("/\\\0", 3)) != std::string::npos) {
      throw InputError(where, ": tensor ", Quoted(tensor), ": shard ", Quoted(shard),
                       " is not a plain file name");
    }
    shards.insert(shard);
    shard_of.emplace(std::move(tensor), std::move(shard));
  }
  TensorTable table(where);
  for (const std::string& shard : shards) {
    const SafetensorsFile file = ReadSafetensors(folder / shard);
    for (const TensorEntry& entry : file.tensors.entries()) {
      const auto owner = shard_of.find(entry.name);
      if (owner == shard_of.end() || owner->second == shard) table.Add(entry);
    }
  }
  for (const auto& [tensor, shard] : shard_of) {
    if (!table.Find(tensor)) {
      throw InputError((folder / shard).string(), ": tensor ", Quoted(tensor),
                       " is missing, which model.safetensors.index.json says is here");
    }
  }
  return table;
}

}  // namespace

SafetensorsFile ReadSafetensors(const Path& path) {
  const auto file = MappedFile::Open(path);
  const std::string where = path.string();
  Cursor cursor(file->bytes(), where);
  const auto header_bytes = cursor.Read<uint64_t>("the header's length");
  if (header_bytes > kMaxHeader) {
    throw InputError(where, ": header of ", header_bytes, " bytes; at most ", kMaxHeader,
                     " are allowed: is this a safetensors file?");
  }
  const Bytes text = cursor.ReadBytes(header_bytes, "the header");
  const Bytes data = cursor.ReadBytes(cursor.left(), "the tensors");
  SafetensorsHeader header =
      ParseSafetensorsHeader({reinterpret_cast<const char*>(text.data()), text.size()}, where);

  SafetensorsFile out{TensorTable(where), std::move(header.metadata)};
  for (const auto& t : header.tensors) CheckSize(t, Cat(where, ": tensor ", Quoted(t.name)));
  CheckTiling(header, data.size(), file->bytes().size(), where);
  for (auto& t : header.tensors) {
    TensorEntry entry{std::move(t.name), std::move(t.shape)};
    if (const auto format = FormatOfSafetensors(t.dtype))
      entry.format = *format;
    else
      entry.other_type = t.dtype.empty() ? "?" : t.dtype;
    entry.bytes = data.subspan(t.begin, t.end - t.begin);
    entry.file = file;
    out.tensors.Add(std::move(entry));
  }
  return out;
}

TensorTable ReadSafetensorsFolder(const Path& folder) {
  const std::set<std::string> names = SafetensorsFilesIn(folder);
  if (names.contains("model.safetensors")) {
    return ReadSafetensors(folder / "model.safetensors").tensors;
  }
  const Path index = folder / "model.safetensors.index.json";
  if (std::filesystem::exists(index)) return ReadShards(folder, index);
  if (names.size() == 1) return ReadSafetensors(folder / *names.begin()).tensors;
  throw InputError(folder.string(), names.empty() ? ": no *.safetensors file in it"
                                                  : ": several *.safetensors files and no "
                                                    "model.safetensors.index.json to order them");
}

}  // namespace retort
