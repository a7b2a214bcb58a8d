// SPDX-License-Identifier: Apache-2.0
// The files of a teacher's cache, used by its writer and its reader: the manifest, and the names
// and contents of shards. See docs/formats/teacher-cache.md.
#pragma once

#include <string>
#include <vector>

#include "data/teacher_cache.h"
#include "data/teacher_rows.h"
#include "formats/hdf5.h"

namespace retort {

// Held (base/file_lock.h) while a folder is written.
inline constexpr const char* kTeacherLock = ".lock";

// These end every error about a folder with other contents, and about a damaged shard.
inline constexpr const char* kTeachElsewhere = "run `retort teach` again into another folder";
inline constexpr const char* kTeachAgain = "`retort teach` writes it again";

struct TeacherShard {
  Hdf5Stamp stamp;
  int64_t first_example = 0, examples = 0;
  int64_t tokens = 0;
  std::string examples_sha256;  // over the ExampleHash of each example, in order
};

struct TeacherManifest {
  TeacherCacheKey key;  // top_k at most vocab
  int64_t examples = 0;
  int64_t shard_bytes = 0;
  std::vector<TeacherShard> shards;

  TeacherLayout layout() const { return {key.vocab, key.top_k}; }
  int64_t examples_done() const {
    return shards.empty() ? 0 : shards.back().first_example + shards.back().examples;
  }
};

// Throws Error{kInput} on an inconsistent manifest: counts out of bounds, shards that are not
// consecutive.
TeacherManifest ReadTeacherManifest(const Path& folder);
void WriteTeacherManifest(const Path& folder, const TeacherManifest& manifest);

Path TeacherShardPath(const Path& folder, size_t shard);  // FOLDER/shard-00007.h5

// Throws Error{kInput} naming the field that differs. With `any_temperature`, a manifest that kept
// the whole vocabulary matches any temperature.
void CheckTeacherKey(const Path& folder, const TeacherCacheKey& have, const TeacherCacheKey& want,
                     bool any_temperature);
// Checks that the shards hold the first of these examples. Throws Error{kInput} naming the first
// example that differs, or else reporting that the manifest has more or fewer examples.
void CheckTeacherExamples(const Path& folder, const TeacherManifest& manifest,
                          const Examples& examples, const WhereExample& where);

// The sums over a manifest's shards. Throws Error{kInput} when one overflows.
TeacherCacheSummary Summarize(const Path& folder, const TeacherManifest& manifest);

// Throws Error{kInput} if the file is missing or has the wrong size.
void CheckTeacherShardSize(const Path& path, const TeacherShard& shard);
// Whether the file exists with the right size and checksum.
bool IsWhole(const Path& path, const TeacherShard& shard);

// A shard being written: rows, and the hash and the number of rows of each example.
struct ShardContent {
  std::vector<uint8_t> hashes;  // [examples, 16]
  std::vector<int32_t> counts;  // [examples]
  StoredRows rows;
  int64_t tokens = 0;
};
Hdf5Stamp WriteTeacherShard(const Path& path, const TeacherLayout& layout,
                            const ShardContent& content);
// SHA-256 over the hashes (TeacherShard::examples_sha256).
std::string HashOfHashes(std::span<const uint8_t> hashes);

// A block of rows, still compressed; members that the layout does not use are empty.
struct PackedRows {
  Hdf5Chunk values, ids, high_ids, tails;
  std::string place;  // for errors

  StoredRows Unpack() const;  // thread-safe; in the last block only the first rows are valid
};

// An open shard with this user's seal.
class OpenShard {
 public:
  // Throws Error{kInput} if the file is damaged, has no seal, or its datasets do not match the
  // manifest.
  OpenShard(const Path& path, const TeacherShard& shard, const TeacherLayout& layout);

  std::vector<uint8_t> Hashes() const;  // [examples, 16]
  // The first row of each example, followed by the number of rows: [examples + 1].
  const std::vector<int64_t>& offsets() const { return offsets_; }
  // Block `block` of layout.block_rows() rows, as stored in the file.
  PackedRows ReadBlock(int64_t block) const;

 private:
  std::string place_;
  TeacherLayout layout_;
  Hdf5Reader file_;
  std::vector<int64_t> offsets_;
};

}  // namespace retort
