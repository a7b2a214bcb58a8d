// SPDX-License-Identifier: Apache-2.0
// The files of a teacher's cache, shared by its writer and its reader: the manifest, and what a
// shard is called and made of. docs/formats/teacher-cache.md.
#pragma once

#include <string>
#include <vector>

#include "data/teacher_cache.h"
#include "data/teacher_rows.h"
#include "formats/hdf5.h"

namespace retort {

// Ends every error about a folder of something else, and about a damaged shard.
inline constexpr const char* kTeachElsewhere = "run `retort teach` again into another folder";
inline constexpr const char* kTeachAgain = "`retort teach` writes it again";

struct TeacherShard {
  std::string sha256;  // of the file
  int64_t bytes = 0;   // of the file
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

// Throws Error{kInput} on a manifest that contradicts itself: counts out of bounds, shards that do
// not follow one another.
TeacherManifest ReadTeacherManifest(const Path& folder);
void WriteTeacherManifest(const Path& folder, const TeacherManifest& manifest);

Path TeacherShardPath(const Path& folder, size_t shard);  // FOLDER/shard-00007.h5

// Throws Error{kInput} naming the field that differs. A manifest that kept all of the vocabulary
// agrees with any temperature where `any_temperature`.
void CheckTeacherKey(const Path& folder, const TeacherCacheKey& have, const TeacherCacheKey& want,
                     bool any_temperature);
// That the shards hold the first of these examples; throws Error{kInput} naming the first that
// differs, else that the manifest is of more or fewer examples than these.
void CheckTeacherExamples(const Path& folder, const TeacherManifest& manifest,
                          std::span<const Example> examples, const WhereExample& where);

// That the file is there and has its size. Throws Error{kInput}.
void CheckTeacherShardSize(const Path& path, const TeacherShard& shard);
// That it is there with its size and its checksum.
bool IsWhole(const Path& path, const TeacherShard& shard);

// A shard under construction: rows, and the hash and the number of rows of each example.
struct ShardContent {
  std::vector<uint8_t> hashes;  // [examples, 16]
  std::vector<int32_t> counts;  // [examples]
  StoredRows rows;
  int64_t tokens = 0;
};
void WriteTeacherShard(const Path& path, const TeacherLayout& layout, const ShardContent& content);
// SHA-256 over the hashes, as a manifest lists it.
std::string HashOfHashes(std::span<const uint8_t> hashes);

// A block of rows that is still compressed; what the layout has no use for is empty.
struct PackedRows {
  Hdf5Chunk values, ids, high_ids, tails;
  std::string place;  // for errors

  StoredRows Unpack() const;  // in any thread; of the last block only the first rows are used
};

// A shard opened by its checksum.
class OpenShard {
 public:
  // Throws Error{kInput} on a damaged file and on datasets that do not fit the manifest.
  OpenShard(const Path& path, const TeacherShard& shard, const TeacherLayout& layout);

  std::vector<uint8_t> Hashes() const;  // [examples, 16]
  // Where the rows of each example begin, and at the end the number of rows: [examples + 1].
  const std::vector<int64_t>& offsets() const { return offsets_; }
  // Block `block`, layout.block_rows() rows, as it lies in the file.
  PackedRows ReadBlock(int64_t block) const;

 private:
  std::string place_;
  TeacherLayout layout_;
  Hdf5Reader file_;
  std::vector<int64_t> offsets_;
};

}  // namespace retort
