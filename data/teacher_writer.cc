// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <deque>
#include <optional>

#include "base/error.h"
#include "base/file_lock.h"
#include "base/seal.h"
#include "data/teacher_files.h"

namespace retort {
namespace {

int64_t DefaultShardBytes(int64_t total) {
  return std::max(int64_t{64} << 20, (total + 511) / 512);
}

void MakeFolder(const Path& folder) {
  std::error_code problem;
  std::filesystem::create_directories(folder, problem);
  if (problem) throw Failure(folder.string(), ": cannot be made: ", problem.message());
}

// Removes files that a killed writer left behind before renaming them.
void RemovePartialFiles(const Path& folder) {
  std::vector<Path> left;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    const bool ours =
        StartsWith(name, ".shard-") || StartsWith(name, Cat(".", kTeacherCacheManifest));
    if (ours && EndsWith(name, ".partial")) left.push_back(entry.path());
  }
  std::error_code ignored;
  for (const Path& path : left) std::filesystem::remove_all(path, ignored);
}

// The indices of shards whose files do not match the manifest.
std::deque<size_t> DamagedShards(const Path& folder, const TeacherManifest& manifest) {
  std::deque<size_t> out;
  for (size_t s = 0; s < manifest.shards.size(); ++s) {
    if (!IsWhole(TeacherShardPath(folder, s), manifest.shards[s])) out.push_back(s);
  }
  return out;
}

bool HoldsOtherThings(const Path& folder) {
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().filename() != kTeacherLock) return true;
  }
  return false;
}

}  // namespace

int64_t TeacherBytesPerToken(int64_t vocab, int64_t top_k) {
  return TeacherLayout{vocab, std::min(top_k, vocab)}.row_bytes();
}

int64_t TeacherCacheBytes(const Examples& examples, int64_t vocab, int64_t top_k) {
  int64_t tokens = 0;
  for (const Example& e : examples) tokens += e.LossTokens();
  return tokens * TeacherBytesPerToken(vocab, top_k) + examples.size() * kTeacherBytesPerExample;
}

struct TeacherCacheWriter::State {
  Path folder;
  Examples examples;
  std::optional<FileLock> lock;
  TeacherManifest manifest;
  std::deque<size_t> damaged;  // shards to be rewritten before any new one
  int64_t found_damaged = 0;
  ShardContent open;

  int64_t first() const {
    return damaged.empty() ? manifest.examples_done()
                           : manifest.shards[damaged.front()].first_example;
  }
  int64_t next() const { return first() + static_cast<int64_t>(open.counts.size()); }
  int64_t end() const {
    return damaged.empty() ? manifest.examples
                           : first() + manifest.shards[damaged.front()].examples;
  }
  bool ShardIsFull() const {
    if (!damaged.empty()) return next() == end();
    const int64_t filled = open.tokens * manifest.layout().row_bytes() +
                           static_cast<int64_t>(open.counts.size()) * kTeacherBytesPerExample;
    return filled >= manifest.shard_bytes;
  }

  void CloseShard() {
    const size_t number = damaged.empty() ? manifest.shards.size() : damaged.front();
    const Path path = TeacherShardPath(folder, number);
    const TeacherShard shard{.stamp = WriteTeacherShard(path, manifest.layout(), open),
                             .first_example = first(),
                             .examples = static_cast<int64_t>(open.counts.size()),
                             .tokens = open.tokens,
                             .examples_sha256 = HashOfHashes(open.hashes)};
    if (damaged.empty()) {
      manifest.shards.push_back(shard);
    } else {
      manifest.shards[number] = shard;
      damaged.pop_front();
    }
    WriteTeacherManifest(folder, manifest);
    open = {};
  }
};

TeacherCacheWriter::TeacherCacheWriter(const Path& folder, const TeacherCacheKey& key,
                                       const Examples& examples, const WhereExample& where,
                                       const TeacherCacheOptions& options)
    : state_(std::make_unique<State>()) {
  RETORT_CHECK(key.vocab > 0 && key.vocab <= 1 << 24 && key.top_k > 0 && key.temperature > 0,
               "vocabulary ", key.vocab, ", top_k ", key.top_k, ", temperature ", key.temperature);
  RETORT_CHECK(!examples.empty(), "no examples");
  TeacherManifest& manifest = state_->manifest;
  state_->folder = folder;
  state_->examples = examples;
  RequireSecret();  // for the seals of the shards
  MakeFolder(folder);
  state_->lock.emplace(folder / kTeacherLock, folder.string());
  RemovePartialFiles(folder);
  if (std::filesystem::exists(folder / kTeacherCacheManifest)) {
    manifest = ReadTeacherManifest(folder);
    CheckTeacherKey(folder, manifest.key, key, false);
    CheckTeacherExamples(folder, manifest, examples, where);
    state_->damaged = DamagedShards(folder, manifest);
    state_->found_damaged = static_cast<int64_t>(state_->damaged.size());
    return;
  }
  if (HoldsOtherThings(folder)) {
    throw InputError(folder.string(), ": is not empty and holds no ", kTeacherCacheManifest,
                     "; name a folder that is new or a teacher's cache");
  }
  manifest.key = key;
  manifest.key.top_k = std::min(key.top_k, key.vocab);
  manifest.examples = examples.size();
  manifest.shard_bytes = options.shard_bytes > 0
                             ? options.shard_bytes
                             : DefaultShardBytes(TeacherCacheBytes(examples, key.vocab, key.top_k));
  WriteTeacherManifest(folder, manifest);
}

TeacherCacheWriter::~TeacherCacheWriter() = default;

int64_t TeacherCacheWriter::next_example() const { return state_->next(); }
int64_t TeacherCacheWriter::end_example() const { return state_->end(); }
int64_t TeacherCacheWriter::damaged_shards() const { return state_->found_damaged; }

void TeacherCacheWriter::Append(const TopTokens& rows) {
  State& s = *state_;
  RETORT_CHECK(s.next() < s.manifest.examples, "all examples are in");
  const Example& example = s.examples[s.next()];
  RETORT_CHECK(rows.n == example.LossTokens(), rows.n, " rows for an example of ",
               example.LossTokens(), " tokens with loss");
  EncodeRows(s.manifest.layout(), rows, s.open.rows);
  const ExampleHash hash = HashOf(example);
  const auto* bytes = reinterpret_cast<const uint8_t*>(hash.data());
  s.open.hashes.insert(s.open.hashes.end(), bytes, bytes + hash.size());
  s.open.counts.push_back(static_cast<int32_t>(rows.n));
  s.open.tokens += rows.n;
  if (s.ShardIsFull()) s.CloseShard();
}

void TeacherCacheWriter::Finish() {
  RETORT_CHECK(state_->next() == state_->manifest.examples, "only ", state_->next(), " of ",
               state_->manifest.examples, " examples are in");
  if (!state_->open.counts.empty()) state_->CloseShard();
  state_->lock.reset();
}

}  // namespace retort
