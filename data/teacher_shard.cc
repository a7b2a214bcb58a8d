// SPDX-License-Identifier: Apache-2.0
// One shard of a teacher's cache, and the check that shards belong to given examples.
#include <cstring>

#include "base/error.h"
#include "data/teacher_files.h"

namespace retort {
namespace {

constexpr int64_t kHashBytes = static_cast<int64_t>(sizeof(ExampleHash));
constexpr int kGzip = 1;  // higher levels take twice as long and save one percent

template <class T>
void WriteColumns(Hdf5Writer& file, const std::string& name, const TeacherLayout& layout,
                  int64_t tokens, const std::vector<T>& values, int64_t columns) {
  const std::vector<int64_t> shape =
      columns == 0 ? std::vector{tokens} : std::vector{tokens, columns};
  file.Write<T>(name, shape, values, {.chunk_rows = layout.block_rows(), .gzip = kGzip});
}

std::vector<uint8_t> HashesOf(const Examples& examples, int64_t first, int64_t count) {
  std::vector<uint8_t> out(static_cast<size_t>(count) * sizeof(ExampleHash));
  for (int64_t i = 0; i < count; ++i) {
    const ExampleHash hash = HashOf(examples[first + i]);
    std::memcpy(out.data() + static_cast<size_t>(i) * sizeof hash, hash.data(), sizeof hash);
  }
  return out;
}

// Checks the chunk size: a chunk of any other size could take unbounded memory to decompress.
void CheckChunks(const Hdf5Reader& file, const TeacherLayout& layout, int64_t tokens,
                 const std::string& place) {
  const auto expect = [&](const char* name, int64_t want) {
    if (!file.Has(name)) return;  // reading it reports this
    const int64_t rows = file.ChunkRows(name);
    if (rows == want) return;
    throw InputError(place, ": dataset '", name, "' is in chunks of ", rows, " rows, expected ",
                     want);
  };
  for (const char* name : {"examples/hash", "examples/tokens"}) expect(name, 0);
  for (const char* name : {"rows/values", "rows/ids", "rows/tail", "rows/high_ids"}) {
    expect(name, std::min(layout.block_rows(), tokens));
  }
}

OpenShard Open(const Path& folder, const TeacherManifest& manifest, size_t shard) {
  return {TeacherShardPath(folder, shard), manifest.shards[shard], manifest.layout()};
}

}  // namespace

std::string HashOfHashes(std::span<const uint8_t> hashes) { return Sha256(std::as_bytes(hashes)); }

Hdf5Stamp WriteTeacherShard(const Path& path, const TeacherLayout& layout,
                            const ShardContent& content) {
  Hdf5Writer file(path);
  const auto examples = static_cast<int64_t>(content.counts.size());
  file.Write<uint8_t>("examples/hash", {examples, kHashBytes}, content.hashes);
  file.Write<int32_t>("examples/tokens", {examples}, content.counts);
  const int64_t n = content.tokens, k = layout.kept;
  WriteColumns(file, "rows/values", layout, n, content.rows.values, k);
  if (!layout.all_kept()) {
    WriteColumns(file, "rows/ids", layout, n, content.rows.ids, k);
    WriteColumns(file, "rows/tail", layout, n, content.rows.tails, 0);
  }
  if (layout.wide_ids()) WriteColumns(file, "rows/high_ids", layout, n, content.rows.high_ids, k);
  return file.Commit();
}

void CheckTeacherShardSize(const Path& path, const TeacherShard& shard) {
  std::error_code problem;
  const auto bytes = std::filesystem::file_size(path, problem);
  if (problem) throw InputError(path.string(), ": is missing; ", kTeachAgain);
  if (bytes != static_cast<uintmax_t>(shard.stamp.bytes)) {
    throw InputError(path.string(), ": has ", bytes, " bytes, expected ", shard.stamp.bytes,
                     "; the file was changed or damaged; ", kTeachAgain);
  }
}

bool IsWhole(const Path& path, const TeacherShard& shard) {
  std::error_code problem;
  const auto bytes = std::filesystem::file_size(path, problem);
  return !problem && bytes == static_cast<uintmax_t>(shard.stamp.bytes) &&
         Sha256OfFile(path) == shard.stamp.sha256;
}

OpenShard::OpenShard(const Path& path, const TeacherShard& shard, const TeacherLayout& layout)
    : place_(path.string()),
      layout_(layout),
      file_(Hdf5Reader::OpenSealed(path, shard.stamp, kTeachAgain)) {
  CheckChunks(file_, layout, shard.tokens, place_);
  const std::vector<int64_t> shape = {shard.tokens, layout.kept};
  if (file_.ShapeOf("rows/values") != shape) {
    throw InputError(place_, ": dataset 'rows/values' has shape ",
                     ShapeText(file_.ShapeOf("rows/values")), ", expected ", ShapeText(shape));
  }
  std::vector<int32_t> counts(static_cast<size_t>(shard.examples));
  file_.Read<int32_t>("examples/tokens", {shard.examples}, counts);
  offsets_ = {0};
  for (const int32_t count : counts) {
    if (count < 0 || count > shard.tokens - offsets_.back()) {
      throw InputError(place_, ": example ", offsets_.size() - 1, " claims ", count,
                       " tokens, beyond the shard's ", shard.tokens);
    }
    offsets_.push_back(offsets_.back() + count);
  }
  if (offsets_.back() != shard.tokens) {
    throw InputError(place_, ": its examples have ", offsets_.back(), " tokens, expected ",
                     shard.tokens);
  }
}

std::vector<uint8_t> OpenShard::Hashes() const {
  const auto examples = static_cast<int64_t>(offsets_.size()) - 1;
  std::vector<uint8_t> out(static_cast<size_t>(examples * kHashBytes));
  file_.Read<uint8_t>("examples/hash", {examples, kHashBytes}, out);
  return out;
}

PackedRows OpenShard::ReadBlock(int64_t block) const {
  PackedRows out{.place = Cat(place_, ": block ", block)};
  const int64_t k = layout_.kept;
  out.values = file_.ReadChunk<uint16_t>("rows/values", block, k);
  if (!layout_.all_kept()) {
    out.ids = file_.ReadChunk<uint16_t>("rows/ids", block, k);
    out.tails = file_.ReadChunk<uint16_t>("rows/tail", block, 1);
  }
  if (layout_.wide_ids()) out.high_ids = file_.ReadChunk<uint8_t>("rows/high_ids", block, k);
  return out;
}

StoredRows PackedRows::Unpack() const {
  return {.ids = Hdf5Reader::Unpack<uint16_t>(ids),
          .high_ids = Hdf5Reader::Unpack<uint8_t>(high_ids),
          .values = Hdf5Reader::Unpack<uint16_t>(values),
          .tails = Hdf5Reader::Unpack<uint16_t>(tails)};
}

void CheckTeacherExamples(const Path& folder, const TeacherManifest& manifest,
                          const Examples& examples, const WhereExample& where) {
  const int64_t given = examples.size();
  for (size_t s = 0; s < manifest.shards.size(); ++s) {
    const TeacherShard& shard = manifest.shards[s];
    const int64_t first = shard.first_example, count = std::min(shard.examples, given - first);
    if (count <= 0) break;
    const std::vector<uint8_t> want = HashesOf(examples, first, count);
    if (count == shard.examples && HashOfHashes(want) == shard.examples_sha256) continue;
    const Path path = TeacherShardPath(folder, s);
    if (!IsWhole(path, shard) || !Hdf5Reader::IsSealed(path, shard.stamp)) {
      throw InputError(folder.string(), ": of the rows from ", where(first), " to ",
                       where(first + count - 1), " not all are what the teacher saw there; ",
                       kTeachElsewhere);
    }
    const std::vector<uint8_t> have = Open(folder, manifest, s).Hashes();
    const auto differs = std::mismatch(want.begin(), want.end(), have.begin()).first;
    if (differs != want.end()) {
      const int64_t example = first + (differs - want.begin()) / kHashBytes;
      throw InputError(folder.string(), ": ", where(example), " is not what the teacher saw there ",
                       "(the cache is of ", manifest.examples, " examples, the data has ", given,
                       "); ", kTeachElsewhere);
    }
    if (count == shard.examples) {
      throw InputError(path.string(), ": is of other examples than ", kTeacherCacheManifest,
                       " says; ", kTeachElsewhere);
    }
  }
  if (given == manifest.examples) return;
  throw InputError(folder.string(), ": the cache is of ", manifest.examples,
                   " examples, the data has ", given,
                   given > manifest.examples ? Cat(", from ", where(manifest.examples), " on new")
                                             : std::string(),
                   "; ", kTeachElsewhere);
}

}  // namespace retort
