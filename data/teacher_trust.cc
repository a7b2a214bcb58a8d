// SPDX-License-Identifier: Apache-2.0
// Converts shards from elsewhere: see TrustTeacherCache.
#include <cstdint>

#include "base/checked.h"
#include "base/error.h"
#include "base/file_lock.h"
#include "base/seal.h"
#include "data/teacher_foreign.h"

namespace retort {
namespace {

// Bounds what the child process may send before a byte of it is there.
ShardContent ReadForeign(const Path& path, const TeacherShard& shard, const TeacherLayout& layout) {
  const std::string place = path.string();
  const uint64_t rows = CheckedMul(static_cast<uint64_t>(shard.tokens),
                                   static_cast<uint64_t>(layout.row_bytes()), place);
  const uint64_t examples = CheckedMul(static_cast<uint64_t>(shard.examples),
                                       static_cast<uint64_t>(kTeacherBytesPerExample), place);
  const uint64_t most = CheckedAdd(rows, examples, place);
  if (most > INT64_MAX)
    throw InputError(place, ": ", kTeacherCacheManifest, " claims ", most, " bytes");
  ForeignShard foreign(place);
  ReadHdf5InChild(path, Hdf5Wanted::kValues, static_cast<int64_t>(most),
                  [&](Hdf5Item&& item) { foreign.Add(std::move(item)); });
  return foreign.Content(shard, layout);
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
