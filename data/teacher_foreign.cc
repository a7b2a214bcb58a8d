// SPDX-License-Identifier: Apache-2.0
#include "data/teacher_foreign.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace retort {
namespace {

void CheckContent(const std::string& place, const TeacherShard& shard, const TeacherLayout& layout,
                  const ShardContent& content) {
  int64_t tokens = 0;
  for (const int32_t count : content.counts) {
    if (count < 0 || count > shard.tokens - tokens)
      throw InputError(place, ": an example claims ", count, " tokens, beyond the shard's ",
                       shard.tokens);
    tokens += count;
  }
  if (tokens != shard.tokens)
    throw InputError(place, ": its examples have ", tokens, " tokens, expected ", shard.tokens);
  if (HashOfHashes(content.hashes) != shard.examples_sha256)
    throw InputError(place, ": is of other examples than ", kTeacherCacheManifest, " says; ",
                     kTeachElsewhere);
  RowDecoder decoder(layout);
  TopTokens rows(layout.block_rows(), layout.kept);
  for (int64_t begin = 0; begin < tokens; begin += layout.block_rows()) {
    const int64_t count = std::min(layout.block_rows(), tokens - begin);
    decoder.Decode(content.rows, begin, count, place, rows, 0);
  }
}

}  // namespace

void ForeignShard::Add(Hdf5Item&& item) {
  const std::string name = item.name;
  if (item.kind != Hdf5Item::Kind::kDataset || !items_.emplace(name, std::move(item)).second)
    throw InputError(place_, ": holds '", name, "', which no shard has");
}

template <class T>
std::vector<T> ForeignShard::Take(const std::string& name, const std::vector<int64_t>& shape) {
  const auto found = items_.find(name);
  if (found == items_.end()) throw InputError(place_, ": dataset '", name, "' is missing");
  const Hdf5Item item = std::move(found->second);
  items_.erase(found);
  if (item.type != Hdf5TypeOf<T>::kValue || item.shape != shape) {
    throw InputError(place_, ": dataset '", name, "' has type ",
                     item.type ? NameOf(*item.type) : "other", " and shape ", ShapeText(item.shape),
                     ", expected ", NameOf(Hdf5TypeOf<T>::kValue), " and ", ShapeText(shape));
  }
  std::vector<T> out(item.values.size() / sizeof(T));
  if (!out.empty()) std::memcpy(out.data(), item.values.data(), item.values.size());
  return out;
}

ShardContent ForeignShard::Content(const TeacherShard& shard, const TeacherLayout& layout) {
  const int64_t n = shard.tokens, k = layout.kept;
  constexpr auto kHashBytes = static_cast<int64_t>(sizeof(ExampleHash));
  ShardContent out;
  out.tokens = n;
  out.hashes = Take<uint8_t>("examples/hash", {shard.examples, kHashBytes});
  out.counts = Take<int32_t>("examples/tokens", {shard.examples});
  out.rows.values = Take<uint16_t>("rows/values", {n, k});
  if (!layout.all_kept()) {
    out.rows.ids = Take<uint16_t>("rows/ids", {n, k});
    out.rows.tails = Take<uint16_t>("rows/tail", {n});
  }
  if (layout.wide_ids()) out.rows.high_ids = Take<uint8_t>("rows/high_ids", {n, k});
  if (!items_.empty())
    throw InputError(place_, ": holds '", items_.begin()->first, "', which no shard has");
  CheckContent(place_, shard, layout, out);
  return out;
}

}  // namespace retort
