// SPDX-License-Identifier: Apache-2.0
// A teacher's log-probabilities for the tokens that carry loss, kept in a folder of HDF5 shards:
// written once by `retort teach`, read by every training run on the same examples.
// docs/formats/teacher-cache.md is the format.
//
// A row of the store belongs to one token that carries loss: labels[i] != kNoLoss, i >= 1, in
// order, of one Example after another; an example is known by its place in the ExampleSet. The row
// holds the k = min(top_k, vocab) most probable ids and, where k < vocab, the tail.
//
// A folder has one writer at a time, an object one thread at a time.
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/threads.h"
#include "data/examples.h"
#include "data/top_tokens.h"

namespace retort {

inline constexpr const char* kTeacherCacheManifest = "teacher-cache.json";

// What the stored numbers depend on besides the examples. The hashes are the caller's, compared as
// text. vocab is at most 2^24.
struct TeacherCacheKey {
  std::string teacher;              // its path: named in messages, not compared
  std::string fingerprint;          // of its weights: model/store/folders.h
  std::string adapter_fingerprint;  // "" without an adapter
  std::string tokenizer_hash;
  std::string template_hash;  // "" where no row is a conversation
  int64_t vocab = 0;
  int64_t top_k = 0;       // above vocab is vocab
  double temperature = 1;  // the stored p = softmax(logits / temperature)
};

// The first 16 bytes of SHA-256 over ids and then labels, each a little-endian int32.
using ExampleHash = std::array<std::byte, 16>;
ExampleHash HashOf(const Example& example);

// Names an example in an error, e.g. "train.jsonl:17".
using WhereExample = std::function<std::string(int64_t example)>;

// Before compression: k x (2 bytes for the log-probability + 0 bytes for the id where k = vocab,
// 2 where vocab <= 65,536, else 3) + 2 for the tail where k < vocab. That is at most 6 bytes a kept
// id (7 where k = 1 and vocab > 65,536).
int64_t TeacherBytesPerToken(int64_t vocab, int64_t top_k);
inline constexpr int64_t kTeacherBytesPerExample = 20;  // its hash and its number of rows
// Of all the examples' rows; the files hold less, by compression.
int64_t TeacherCacheBytes(std::span<const Example> examples, int64_t vocab, int64_t top_k);

struct TeacherCacheOptions {
  // Bytes before compression after which a shard is closed: what a kill can lose, and what the
  // writer holds in memory. 0: 64 MiB, or a 512th of the whole where that is more, as a reader
  // keeps each shard open. A folder that is continued keeps the limit it was begun with.
  int64_t shard_bytes = 0;
};

// Fills a folder. Each full shard is written beside its place, synced, renamed and then listed in
// the manifest with its SHA-256, so that a kill at any moment loses at most the shard that is being
// filled; the folder that results is the same byte for byte, however often the work was broken off.
class TeacherCacheWriter {
 public:
  // Makes the folder, or goes on with one of the same key whose finished shards hold the first of
  // these examples. `examples` is borrowed. Throws Error{kInput}
  //   naming the field of the key that differs, or the first row that does;
  //   on a folder that holds other things;
  //   on a folder that another writer has, naming its process.
  // Finished shards that are missing or damaged are written again first.
  TeacherCacheWriter(const Path& folder, const TeacherCacheKey& key,
                     std::span<const Example> examples, const WhereExample& where,
                     const TeacherCacheOptions& options = {});
  ~TeacherCacheWriter();
  TeacherCacheWriter(const TeacherCacheWriter&) = delete;
  TeacherCacheWriter& operator=(const TeacherCacheWriter&) = delete;

  // The example whose rows Append takes next; as many as there are examples once all are in. The
  // ones after it follow up to end_example(), where a damaged shard ends and next_example() may be
  // another.
  int64_t next_example() const;
  int64_t end_example() const;
  int64_t damaged_shards() const;  // how many there were to begin with

  // The rows of examples[next_example()], as TopSelector makes them: LossTokens() of them, none of
  // which may be a bug. Log-probabilities are rounded to f16 and held at -65504 or above.
  void Append(const TopTokens& rows);

  // Closes the last shard and lets go of the folder. All examples must be in. Nothing is written to
  // a finished folder.
  void Finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

struct TeacherCacheSummary {
  TeacherCacheKey key;  // top_k is k
  int64_t shards = 0;
  int64_t examples = 0;  // of the whole; examples_done of them are in the shards
  int64_t examples_done = 0;
  int64_t tokens_done = 0;    // rows in the shards
  int64_t raw_bytes = 0;      // of the shards, before compression
  int64_t stored_bytes = 0;   // of the shards' files
  int64_t written_again = 0;  // damaged shards; the manifest does not tell, a writer's caller does
  bool finished() const { return examples_done == examples; }
};

// From the manifest alone, finished or not. Throws Error{kInput}.
TeacherCacheSummary SummarizeTeacherCache(const Path& folder);
// The SHA-256 that the folder's manifest gives for one of its shards.
std::string TeacherShardChecksum(const Path& shard);

// Reads a finished folder. Every fault of a file is Error{kInput} naming it.
//
// Cost: a shard's first use reads it once for its SHA-256, and holds one file descriptor from then
// on. Rows are stored in blocks of 4096 / k (1 to 256), and the blocks that an example touches are
// decompressed whole each time, in all threads: nothing is kept decoded, since that is a small part
// of what a student takes for its own step (docs/distillation.md).
class TeacherCacheReader {
 public:
  // Throws Error{kInput} on an unfinished folder, saying how much is there, and when a shard is
  // missing or not of its size.
  explicit TeacherCacheReader(const Path& folder);
  ~TeacherCacheReader();
  TeacherCacheReader(const TeacherCacheReader&) = delete;
  TeacherCacheReader& operator=(const TeacherCacheReader&) = delete;

  const TeacherCacheSummary& summary() const;

  // Throws Error{kInput} naming the field that differs, both values and the mend. Another
  // temperature is accepted where all of the vocabulary was kept.
  void Check(const TeacherCacheKey& want) const;
  // Throws Error{kInput} naming the first example whose ids or labels differ, or saying that one
  // has more examples than the other. Reads shards only to find the place.
  void CheckExamples(std::span<const Example> examples, const WhereExample& where) const;

  // The rows of these examples, one after another, in place of what `out` held. Each row sums to 1,
  // tail included: the log of the sum of the rounded outcomes is subtracted from each.
  // `temperature` is the stored one, or, where all of the vocabulary was kept, any: log p is scaled
  // by stored / wanted before that.
  void Read(std::span<const int64_t> examples, double temperature, ThreadPool& pool,
            TopTokens& out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace retort
