// SPDX-License-Identifier: Apache-2.0
// Where the examples of many rows lie, so that rows are tokenised once and never held in memory.
//
// A cache file:
//
//   words of all examples (Note [Words]), their sizes
//   manifest: JSON with the key, the counts and notes of the set, and a digest of what is above
//   footer: the manifest's length (8 bytes, little-endian), its seal (base/seal.h), "RTEXMPL1"
//
// A file that is damaged, of another key, or not sealed by this user's Retort is none: its rows are
// tokenised again. It appears whole or not at all, whoever writes it, and however many at once.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/threads.h"
#include "data/examples.h"

namespace retort {

// Everything that a set of examples depends on, as 64 hexadecimal digits: all bytes of the rows'
// files, their names (which notes tell), which rows are taken, the tokenizer, the chat template,
// the options, and this very program. `chat` may be null.
std::string ExampleKey(const Rows& rows, const Tokenizer& tokenizer, const ChatTemplate* chat,
                       const ExampleOptions& options, ThreadPool& pool);

// The examples of this key in the folder, read and checked; nullopt if there are none. mark: that
// the cache was used, by its file's time.
std::optional<ExampleSet> ReadExampleCache(const Path& folder, const std::string& key,
                                           ThreadPool& pool, bool mark);

// Takes examples one by one. What it holds of an example in memory is its size alone, unless it
// writes no file.
class ExampleWriter {
 public:
  // folder and key: where a cache is written. An empty key: an unnamed file in that folder, which
  // is gone with the examples. An empty folder: no file.
  ExampleWriter(const Path& folder, const std::string& key, int64_t rows);
  ~ExampleWriter();
  ExampleWriter(const ExampleWriter&) = delete;
  ExampleWriter& operator=(const ExampleWriter&) = delete;

  void Add(const Example& example);
  // Puts the examples into the set; a cache is then in its place. The set's other fields are
  // complete.
  void Finish(ExampleSet& set);

 private:
  void Flush();

  Path folder_;
  std::string key_;
  std::unique_ptr<AtomicFile> file_;
  std::vector<uint32_t> words_, sizes_;
  std::vector<std::string> digests_;  // of what is in the file
};

// The caches of a folder may take so much together, or a single one of them more.
inline constexpr uint64_t kMostCacheBytes = uint64_t{20} << 30;

// Removes from a folder of caches what has not been used for a month and, where they take more than
// `most` bytes, those that were not used for longest. The last one that was used stays, whatever
// its size. Called before another one is written.
void RemoveOldCaches(const Path& folder, uint64_t most = kMostCacheBytes);

}  // namespace retort
