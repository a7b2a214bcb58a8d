// SPDX-License-Identifier: Apache-2.0
// A teacher's log-probabilities for the tokens that carry loss, stored in a folder of HDF5 shards:
// written once by `retort teach`, read by every training run on the same examples. Format:
// docs/formats/teacher-cache.md.
//
// A row of the cache belongs to one token that carries loss (labels[i] != kNoLoss, i >= 1). Rows
// are ordered by example, then by token; an example is identified by its index in the Examples. A
// row holds the k = min(top_k, vocab) most probable ids and, if k < vocab, the tail.
//
// A folder may have one writer at a time. Objects are not thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/threads.h"
#include "data/example_hash.h"
#include "data/examples.h"
#include "data/top_tokens.h"

namespace retort {

inline constexpr const char* kTeacherCacheManifest = "teacher-cache.json";

// Everything that the stored numbers depend on besides the examples. The caller supplies the
// hashes, which are compared as text. vocab is at most 2^24.
struct TeacherCacheKey {
  std::string teacher;              // its path: for messages, not compared
  std::string fingerprint;          // of its weights: model/store/folders.h
  std::string adapter_fingerprint;  // "" without an adapter
  std::string tokenizer_hash;
  std::string template_hash;  // "" if no row is a conversation
  int64_t vocab = 0;
  int64_t top_k = 0;       // values above vocab mean vocab
  double temperature = 1;  // the stored p = softmax(logits / temperature)
};

// Returns an example's location for errors, e.g. "train.jsonl:17".
using WhereExample = std::function<std::string(int64_t example)>;

// Before compression: k x (2 bytes for the log-probability + 0 bytes for the id if k = vocab, 2 if
// vocab <= 65,536, else 3) + 2 for the tail if k < vocab. That is at most 6 bytes per kept id (7 if
// k = 1 and vocab > 65,536).
int64_t TeacherBytesPerToken(int64_t vocab, int64_t top_k);
inline constexpr int64_t kTeacherBytesPerExample = 20;  // its hash and its number of rows
// The size of all examples' rows before compression.
int64_t TeacherCacheBytes(const Examples& examples, int64_t vocab, int64_t top_k);

struct TeacherCacheOptions {
  // Bytes before compression after which a shard is closed. It bounds the writer's memory and the
  // work lost if the process is killed. 0: 64 MiB, or 1/512 of the total if that is more, since a
  // reader keeps every shard open. A continued folder keeps its original limit.
  int64_t shard_bytes = 0;
};

// Fills a folder. Each full shard is written to a temporary file, synced, renamed and then listed
// in the manifest with its SHA-256 and seal. A kill at any moment loses at most the shard being
// filled, and the finished folder is identical byte for byte, however often the work was
// interrupted (seals are the same for the same user).
class TeacherCacheWriter {
 public:
  // Creates the folder, or continues one with the same key whose finished shards hold the first of
  // these examples. Throws Error{kInput}
  //   naming the first field of the key or the first row that differs;
  //   if the folder holds other files;
  //   if another writer uses the folder, naming its process.
  // Finished shards that are missing or damaged are rewritten first.
  TeacherCacheWriter(const Path& folder, const TeacherCacheKey& key, const Examples& examples,
                     const WhereExample& where, const TeacherCacheOptions& options = {});
  ~TeacherCacheWriter();
  TeacherCacheWriter(const TeacherCacheWriter&) = delete;
  TeacherCacheWriter& operator=(const TeacherCacheWriter&) = delete;

  // The index of the example whose rows Append takes next; the number of examples when all are
  // done. Examples follow consecutively up to end_example(), the end of a damaged shard, after
  // which next_example() may jump.
  int64_t next_example() const;
  int64_t end_example() const;
  int64_t damaged_shards() const;  // the number at the start
  // Adds the rows of examples[next_example()], LossTokens() of them, as produced by TopSelector. An
  // invalid row is a bug. Log-probabilities are rounded to f16 and clamped to at least -65504.
  void Append(const TopTokens& rows);

  // Closes the last shard and releases the folder. All examples must have been appended. Writes
  // nothing to a folder that was already finished.
  void Finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

struct TeacherCacheSummary {
  TeacherCacheKey key;  // top_k is k
  int64_t shards = 0;
  int64_t examples = 0;  // in total; examples_done of them are in the shards
  int64_t examples_done = 0;
  int64_t tokens_done = 0;    // rows in the shards
  int64_t raw_bytes = 0;      // of the shards, before compression
  int64_t stored_bytes = 0;   // of the shards' files
  int64_t written_again = 0;  // damaged shards rewritten; set by the writer's caller
  bool finished() const { return examples_done == examples; }
};

// Reads only the manifest, of a finished or unfinished folder. Throws Error{kInput}.
TeacherCacheSummary SummarizeTeacherCache(const Path& folder);

// Converts the shards that this user's Retort did not write (no seal, or that of another user or
// machine): a child process reads them (formats/hdf5_child.h), and what it read is checked and
// written again, with a seal. The numbers stay the same. Returns how many were converted. Throws
// Error{kInput} naming the file that is damaged or that cannot be read.
int64_t TrustTeacherCache(const Path& folder);

// Reads a finished folder. Any fault in a file throws Error{kInput} naming the file, and so does a
// shard without this user's seal, naming `retort trust`.
//
// Cost: the first use of a shard reads all of it once for its seal; its file then stays mapped.
// Rows are stored in blocks of 4096 / k (1 to 256). Each Read() decompresses all blocks that its
// examples touch, in parallel. Nothing decoded is cached, since decoding takes only a small part of
// a student's step (docs/distillation.md).
class TeacherCacheReader {
 public:
  // Throws Error{kInput} if the folder is unfinished, stating the progress, or if a shard is
  // missing or of the wrong size. Opens the first shard.
  explicit TeacherCacheReader(const Path& folder);
  ~TeacherCacheReader();
  TeacherCacheReader(const TeacherCacheReader&) = delete;
  TeacherCacheReader& operator=(const TeacherCacheReader&) = delete;

  const TeacherCacheSummary& summary() const;

  // Throws Error{kInput} naming the field that differs, both values and the fix. A different
  // temperature is accepted if the whole vocabulary was kept.
  void Check(const TeacherCacheKey& want) const;
  // Throws Error{kInput} naming the first example whose ids or labels differ, or reporting that the
  // numbers of examples differ. Reads a shard only to locate a difference.
  void CheckExamples(const Examples& examples, const WhereExample& where) const;

  // Replaces `out` by the rows of these examples, in order. Each row is renormalised to sum to 1,
  // tail included, by subtracting the log of the sum of the rounded outcomes. `temperature` must be
  // the stored one unless the whole vocabulary was kept; then any is allowed, and log p is scaled
  // by stored / wanted before renormalising.
  void Read(std::span<const int64_t> examples, double temperature, ThreadPool& pool,
            TopTokens& out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace retort
