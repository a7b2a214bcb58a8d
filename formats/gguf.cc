// SPDX-License-Identifier: Apache-2.0
#include "formats/gguf.h"

#include <algorithm>
#include <type_traits>

#include "base/checked.h"
#include "base/text.h"
#include "formats/cursor.h"
#include "formats/gguf_part.h"
#include "formats/gguf_types.h"
#include "formats/limits.h"

namespace retort {
namespace {

constexpr int kMaxNesting = 8;
constexpr uint64_t kMaxKeyBytes = 65'535, kMaxNameBytes = 64;
constexpr uint32_t kMaxDims = 4;
// Room is reserved for this many items of an array; an array that is longer grows as it is read, so
// that a wrong length in a large file costs no memory.
constexpr uint64_t kReserved = 65'536;

// Calls f(std::type_identity<T>{}), T being the alternative of GgufValue with index `id`. Returns
// false if there is none.
template <class F>
bool WithType(uint32_t id, F f) {
  return [&]<size_t... kId>(std::index_sequence<kId...>) {
    return (... || (id == kId &&
                    (f(std::type_identity<std::variant_alternative_t<kId, GgufValue>>{}), true)));
  }
  (std::make_index_sequence<std::variant_size_v<GgufValue>>{});
}

// The minimal size of a value in the file, in bytes.
template <class T>
constexpr uint64_t kLeastBytes = sizeof(T);
template <>
inline constexpr uint64_t kLeastBytes<bool> = 1;
template <>
inline constexpr uint64_t kLeastBytes<std::string> = sizeof(uint64_t);
template <>
inline constexpr uint64_t kLeastBytes<GgufArray> = sizeof(uint32_t) + sizeof(uint64_t);

std::string ReadString(Cursor& cursor, std::string_view what) {
  const Bytes bytes = cursor.ReadBytes(cursor.Read<uint64_t>(what), what);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

GgufArray ReadArray(Cursor& cursor, int depth);

template <class T>
T ReadAs(Cursor& cursor, int depth) {
  if constexpr (std::is_same_v<T, std::string>) {
    return ReadString(cursor, "a string");
  } else if constexpr (std::is_same_v<T, GgufArray>) {
    return ReadArray(cursor, depth + 1);
  } else if constexpr (std::is_same_v<T, bool>) {
    const auto byte = cursor.Read<uint8_t>("a boolean");
    if (byte > 1) cursor.Fail("a boolean is ", byte, ", expected 0 or 1");
    return byte == 1;
  } else {
    return cursor.Read<T>("a number");
  }
}

GgufArray ReadArray(Cursor& cursor, int depth) {
  if (depth > kMaxNesting) cursor.Fail("arrays are nested deeper than ", kMaxNesting);
  const auto type = cursor.Read<uint32_t>("an array's type");
  const auto count = cursor.Read<uint64_t>("an array's length");
  GgufArray out;
  const bool known = WithType(type, [&]<class T>(std::type_identity<T>) {
    cursor.CheckCount(count, kLeastBytes<T>, "an array's length");
    std::vector<T> items;
    items.reserve(std::min(count, kReserved));
    for (uint64_t i = 0; i < count; ++i) items.push_back(ReadAs<T>(cursor, depth));
    out.items = std::move(items);
  });
  if (!known) cursor.Fail("array of value type ", type, ", expected 0 to 12");
  return out;
}

GgufMetadata ReadMetadata(Cursor& cursor, uint64_t count, const std::string& where) {
  GgufMetadata out(where);
  for (uint64_t i = 0; i < count; ++i) {
    cursor.SetPlace(Cat("metadata entry ", i));
    const std::string key = ReadString(cursor, "a key");
    cursor.SetPlace(Cat("metadata ", Quoted(key)));
    if (key.empty() || key.size() > kMaxKeyBytes) {
      cursor.Fail("a key of ", key.size(), " bytes, expected 1 to ", kMaxKeyBytes);
    }
    if (out.Find(key)) cursor.Fail("occurs twice");
    const auto type = cursor.Read<uint32_t>("a value's type");
    const bool known = WithType(type, [&]<class T>(std::type_identity<T>) {
      out.Set(key, GgufValue(std::in_place_type<T>, ReadAs<T>(cursor, 0)));
    });
    if (!known) cursor.Fail("value type ", type, ", expected 0 to 12");
  }
  return out;
}

uint64_t AlignmentOf(const GgufMetadata& metadata, const std::string& where) {
  const GgufValue* value = metadata.Find("general.alignment");
  if (!value) return 32;
  const auto* alignment = std::get_if<uint32_t>(value);
  if (!alignment || *alignment == 0 || *alignment % 8 != 0) {
    throw InputError(where, ": metadata 'general.alignment' is ", TypeText(*value), " ",
                     ValueText(*value), ", expected a u32 that is a multiple of 8");
  }
  return *alignment;
}

// A tensor as described by its info, before its position in the file has been checked.
struct TensorInfo {
  TensorEntry entry;
  uint64_t offset = 0;
  // In the file. For a type of unknown size the least that it can be.
  uint64_t bytes = 0;
  bool sized = false;
};

void ReadType(Cursor& cursor, TensorInfo& info, const std::string& place) {
  const auto id = cursor.Read<uint32_t>("a type");
  const GgmlType* type = FindGgmlType(id);
  const uint64_t elements = ElementsOf(info.entry.shape, place);
  if (!type) {
    info.entry.other_type = Cat("ggml type ", id);
    info.bytes = LeastBytes(elements);
    return;
  }
  if (const auto format = FormatOfGgmlType(id))
    info.entry.format = *format;
  else
    info.entry.other_type = type->name;
  const int64_t row = info.entry.shape.empty() ? 1 : info.entry.shape.back();
  if (row % type->block_elements != 0) {
    cursor.Fail("rows of ", row, " values do not divide into ", type->name, " blocks of ",
                type->block_elements);
  }
  info.sized = true;
  info.bytes = CheckedMul(elements / type->block_elements, type->block_bytes, place);
}

TensorInfo ReadInfo(Cursor& cursor, uint64_t number, const std::string& where) {
  TensorInfo info;
  cursor.SetPlace(Cat("tensor ", number));
  info.entry.name = ReadString(cursor, "a name");
  cursor.SetPlace(Cat("tensor ", Quoted(info.entry.name)));
  if (info.entry.name.empty() || info.entry.name.size() > kMaxNameBytes) {
    cursor.Fail("a name of ", info.entry.name.size(), " bytes, expected 1 to ", kMaxNameBytes);
  }
  const auto dims = cursor.Read<uint32_t>("the number of dimensions");
  if (dims > kMaxDims) cursor.Fail(dims, " dimensions, expected at most ", kMaxDims);
  for (uint32_t i = 0; i < dims; ++i) {
    const auto dim = cursor.Read<uint64_t>("a dimension");
    if (dim > uint64_t{INT64_MAX}) cursor.Fail("a dimension of ", dim);
    info.entry.shape.insert(info.entry.shape.begin(), static_cast<int64_t>(dim));
  }
  ReadType(cursor, info, Cat(where, ": tensor ", Quoted(info.entry.name), ": size"));
  info.offset = cursor.Read<uint64_t>("an offset");
  return info;
}

void CheckOverlaps(const std::vector<TensorInfo>& infos, const std::string& where) {
  std::vector<const TensorInfo*> order;
  for (const TensorInfo& info : infos) {
    if (info.sized && info.bytes > 0) order.push_back(&info);
  }
  std::sort(order.begin(), order.end(),
            [](const TensorInfo* a, const TensorInfo* b) { return a->offset < b->offset; });
  for (size_t i = 1; i < order.size(); ++i) {
    const TensorInfo &before = *order[i - 1], &tensor = *order[i];
    if (before.offset + before.bytes > tensor.offset) {
      throw InputError(where, ": tensor ", Quoted(tensor.entry.name), " begins at ", tensor.offset,
                       ", inside tensor ", Quoted(before.entry.name));
    }
  }
}

// Checks the positions and sets the bytes of every entry.
void PlaceTensors(std::vector<TensorInfo>& infos, uint64_t data_start, uint64_t alignment,
                  const std::shared_ptr<const MappedFile>& file, const std::string& where) {
  const uint64_t size = file->bytes().size();
  for (TensorInfo& info : infos) {
    const std::string place = Cat(where, ": tensor ", Quoted(info.entry.name));
    if (info.offset % alignment != 0) {
      throw InputError(place, ": offset ", info.offset, " is not a multiple of the alignment, ",
                       alignment);
    }
    const uint64_t begin = CheckedAdd(data_start, info.offset, place);
    const uint64_t end = CheckedAdd(begin, info.bytes, place);
    if (end > size) {
      throw InputError(place, ": ends at byte ", end, ", the file has ", size,
                       "; it is truncated or damaged");
    }
    if (info.sized) info.entry.bytes = file->bytes().subspan(begin, info.bytes);
    info.entry.file = file;
  }
  CheckOverlaps(infos, where);
}

void ReadMagic(Cursor& cursor, GgufFile& out) {
  cursor.SetPlace("header");
  const Bytes magic = cursor.ReadBytes(4, "the magic");
  if (std::memcmp(magic.data(), "GGUF", 4) != 0) {
    cursor.Fail("is not a GGUF file: the magic is not 'GGUF'");
  }
  out.version = cursor.Read<uint32_t>("the version");
  if ((out.version & 0xffff) == 0) cursor.Fail("is big-endian or damaged: version ", out.version);
  if (out.version != 2 && out.version != 3) {
    cursor.Fail("GGUF version ", out.version, ", expected 2 or 3; convert the model again");
  }
}

// After a check that as many can follow in the file.
void CheckAtMost(const Cursor& cursor, uint64_t count, uint64_t most, std::string_view what) {
  if (count > most) cursor.Fail(what, " is ", count, ", more than the ", most, " that are read");
}

}  // namespace

GgufFile ReadGgufPart(const Path& path) {
  const auto file = MappedFile::Open(path);
  const std::string where = path.string();
  Cursor cursor(file->bytes(), where);
  GgufFile out;
  ReadMagic(cursor, out);
  const auto tensors = cursor.Read<uint64_t>("the number of tensors");
  const auto entries = cursor.Read<uint64_t>("the number of metadata entries");
  // A metadata entry has at least a key's length, a type and one byte; a tensor info at least a
  // name's length, the number of dimensions, a type and an offset.
  cursor.CheckCount(entries, 8 + 4 + 1, "the number of metadata entries");
  cursor.CheckCount(tensors, 8 + 4 + 4 + 8, "the number of tensors");
  CheckAtMost(cursor, entries, kMostMetadata, "the number of metadata entries");
  CheckAtMost(cursor, tensors, kMostTensors, "the number of tensors");

  out.metadata = ReadMetadata(cursor, entries, where);
  out.alignment = AlignmentOf(out.metadata, where);
  cursor.CheckCount(tensors, 8 + 4 + 4 + 8, "the number of tensors");
  std::vector<TensorInfo> infos;
  infos.reserve(tensors);
  for (uint64_t i = 0; i < tensors; ++i) infos.push_back(ReadInfo(cursor, i, where));
  const uint64_t data_start = (cursor.at() + out.alignment - 1) / out.alignment * out.alignment;
  PlaceTensors(infos, data_start, out.alignment, file, where);
  out.tensors = TensorTable(where);
  for (TensorInfo& info : infos) out.tensors.Add(std::move(info.entry));
  return out;
}

}  // namespace retort
