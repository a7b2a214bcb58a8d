// SPDX-License-Identifier: Apache-2.0
// A model in several GGUF files: PREFIX-00001-of-00003.gguf and so on. Each has split.no,
// split.count and split.tensors.count; the first has all other metadata, and offsets count within
// each file.
#include "base/error.h"
#include "base/strings.h"
#include "base/text.h"
#include "formats/gguf_part.h"
#include "formats/limits.h"

namespace retort {
namespace {

constexpr int64_t kMostParts = 1024;
constexpr std::string_view kCountKey = "split.count", kNumberKey = "split.no",
                           kTensorsKey = "split.tensors.count";

// "-00001-of-00003.gguf" for number 0 of 3.
std::string Ending(int64_t number, int64_t count) {
  const auto padded = [](int64_t value) {
    const std::string digits = Cat(value);
    return std::string(digits.size() < 5 ? 5 - digits.size() : 0, '0') + digits;
  };
  return Cat("-", padded(number + 1), "-of-", padded(count), ".gguf");
}

// Keys of another part must be about the split, or repeat what the first says.
void CheckKeys(const GgufFile& whole, const GgufFile& part, const std::string& where) {
  for (const auto& [key, value] : part.metadata.entries()) {
    if (StartsWith(key, "split.")) continue;
    const GgufValue* first = whole.metadata.Find(key);
    if (!first || *first != value)
      throw InputError(where, ": metadata ", Quoted(key),
                       " is not that of the first part; only the first part's is read");
  }
}

void AddPart(const Path& path, int64_t number, int64_t count, GgufFile& whole) {
  const std::string where = path.string();
  const GgufFile part = ReadGgufPart(path);
  const int64_t said = part.metadata.Int(kNumberKey), of = part.metadata.Int(kCountKey);
  if (said != number || of != count) {
    throw InputError(where, ": split.no is ", said, " and split.count ", of, ", expected ", number,
                     " and ", count, "; the parts are not of one model");
  }
  CheckKeys(whole, part, where);
  if (whole.tensors.entries().size() + part.tensors.entries().size() > kMostTensors)
    throw InputError(where, ": the parts hold more than ", kMostTensors, " tensors");
  for (const TensorEntry& entry : part.tensors.entries()) whole.tensors.Add(entry);
}

}  // namespace

GgufFile ReadGguf(const Path& path) {
  GgufFile whole = ReadGgufPart(path);
  const int64_t count = whole.metadata.Int(kCountKey, 1);
  if (count == 0 || count == 1) return whole;
  const std::string where = path.string(), name = path.filename().string();
  if (count < 0 || count > kMostParts) {
    throw InputError(where, ": split.count is ", count, ", expected 1 to ", kMostParts);
  }
  const int64_t number = whole.metadata.Int(kNumberKey);
  if (number < 0 || number >= count)
    throw InputError(where, ": split.no is ", number, " of ", count);
  const std::string ending = Ending(number, count);
  if (!EndsWith(name, ending)) {
    throw InputError(where, ": is part ", number + 1, " of a model in ", count,
                     " files, whose name must end in '", ending, "'");
  }
  const std::string prefix = name.substr(0, name.size() - ending.size());
  if (number != 0) {
    throw InputError(where, ": is part ", number + 1, " of a model in ", count,
                     " files; give the first one, '", prefix, Ending(0, count), "'");
  }
  for (int64_t n = 1; n < count; ++n)
    AddPart(path.parent_path() / (prefix + Ending(n, count)), n, count, whole);
  const auto tensors = static_cast<int64_t>(whole.tensors.entries().size());
  if (whole.metadata.Int(kTensorsKey, tensors) != tensors) {
    throw InputError(where, ": split.tensors.count is ", whole.metadata.Int(kTensorsKey),
                     ", the parts hold ", tensors, " tensors");
  }
  return whole;
}

}  // namespace retort
