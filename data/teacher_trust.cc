// SPDX-License-Identifier: Apache-2.0
// Converts shards from elsewhere: see TrustTeacherCache.
#include <cstring>
#include <map>

#include "base/checked.h"
#include "base/error.h"
#include "base/file_lock.h"
#include "base/seal.h"
#include "data/teacher_files.h"
#include "formats/hdf5_child.h"

namespace retort {
namespace {

// The datasets of a shard, as the child process sent them.
class ForeignShard {
 public:
  ForeignShard(const Path& path, const TeacherShard& shard, const TeacherLayout& layout)
      : place_(path.string()) {
    const uint64_t rows = CheckedMul(static_cast<uint64_t>(shard.tokens),
                                     static_cast<uint64_t>(layout.row_bytes()), place_);
    const uint64_t most =
        CheckedAdd(rows, static_cast<uint64_t>(shard.examples * kTeacherBytesPerExample), place_);
    ReadHdf5InChild(path, Hdf5Wanted::kValues, static_cast<int64_t>(most), [&](Hdf5Item&& item) {
      const std::string name = item.name;
      if (item.kind != Hdf5Item::Kind::kDataset || !items_.emplace(name, std::move(item)).second)
        throw InputError(place_, ": holds '", name, "', which no shard has");
    });
  }

  template <class T>
  std::vector<T> Take(const std::string& name, const std::vector<int64_t>& shape) {
    const auto found = items_.find(name);
    if (found == items_.end()) throw InputError(place_, ": dataset '", name, "' is missing");
    const Hdf5Item item = std::move(found->second);
    items_.erase(found);
    if (item.type != Hdf5TypeOf<T>::kValue || item.shape != shape) {
      throw InputError(place_, ": dataset '", name, "' has type ",
                       item.type ? NameOf(*item.type) : "other", " and shape ",
                       ShapeText(item.shape), ", expected ", NameOf(Hdf5TypeOf<T>::kValue), " and ",
                       ShapeText(shape));
    }
    std::vector<T> out(item.values.size() / sizeof(T));
    if (!out.empty()) std::memcpy(out.data(), item.values.data(), item.values.size());
    return out;
  }

  void CheckAllTaken() const {
    if (items_.empty()) return;
    throw InputError(place_, ": holds '", items_.begin()->first, "', which no shard has");
  }

 private:
  std::string place_;
  std::map<std::string, Hdf5Item> items_;
};

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

ShardContent ReadForeign(const Path& path, const TeacherShard& shard, const TeacherLayout& layout) {
  ForeignShard foreign(path, shard, layout);
  const int64_t n = shard.tokens, k = layout.kept;
  constexpr auto kHashBytes = static_cast<int64_t>(sizeof(ExampleHash));
  ShardContent out;
  out.tokens = n;
  out.hashes = foreign.Take<uint8_t>("examples/hash", {shard.examples, kHashBytes});
  out.counts = foreign.Take<int32_t>("examples/tokens", {shard.examples});
  out.rows.values = foreign.Take<uint16_t>("rows/values", {n, k});
  if (!layout.all_kept()) {
    out.rows.ids = foreign.Take<uint16_t>("rows/ids", {n, k});
    out.rows.tails = foreign.Take<uint16_t>("rows/tail", {n});
  }
  if (layout.wide_ids()) out.rows.high_ids = foreign.Take<uint8_t>("rows/high_ids", {n, k});
  foreign.CheckAllTaken();
  CheckContent(path.string(), shard, layout, out);
  return out;
}

}  // namespace

int64_t TrustTeacherCache(const Path& folder) {
  RequireSecret();
  const FileLock lock(folder / kTeacherLock, folder.string());
  TeacherManifest manifest = ReadTeacherManifest(folder);
  int64_t converted = 0;
  for (size_t s = 0; s < manifest.shards.size(); ++s) {
    TeacherShard& shard = manifest.shards[s];
    const Path path = TeacherShardPath(folder, s);
    CheckTeacherShardSize(path, shard);
    if (Hdf5Reader::IsSealed(path, shard.stamp)) continue;
    if (!IsWhole(path, shard)) {
      throw InputError(path.string(), ": its checksum is not the one in ", kTeacherCacheManifest,
                       "; the file was changed or damaged; ", kTeachAgain);
    }
    const ShardContent content = ReadForeign(path, shard, manifest.layout());
    shard.stamp = WriteTeacherShard(path, manifest.layout(), content);
    WriteTeacherManifest(folder, manifest);
    ++converted;
  }
  return converted;
}

}  // namespace retort
