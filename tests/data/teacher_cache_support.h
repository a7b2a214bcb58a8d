// SPDX-License-Identifier: Apache-2.0
// A teacher that is simulated with random numbers, and cache folders with its outcomes.
#pragma once

#include <map>

#include "base/random.h"
#include "data/teacher_cache.h"
#include "tests/data/support.h"

namespace retort {

inline TeacherCacheKey KeyOf(int64_t vocab, int64_t top_k, double temperature = 1) {
  return {"models/teacher", "f00d", "", "70ce", "c4a7", vocab, top_k, temperature};
}

inline ThreadPool& TestPool() {
  static ThreadPool pool(3);
  return pool;
}

inline TopTokens ReadRows(TeacherCacheReader& reader, const std::vector<int64_t>& examples,
                          double temperature) {
  TopTokens out(7, 3);  // what it holds does not matter
  reader.Read(examples, temperature, TestPool(), out);
  return out;
}

inline std::string WhereOf(int64_t example) { return Cat("train.jsonl:", example + 1); }

// Examples of 2 to 30 tokens, of which those after a prompt carry loss; every seventh has none.
inline std::vector<Example> RandomExamples(int64_t count, uint64_t seed = 1) {
  RandomStream random(MakeKey(seed, RandomUse::kData));
  std::vector<Example> out(static_cast<size_t>(count));
  for (size_t e = 0; e < out.size(); ++e) {
    const size_t length = 2 + random.Below(29), prompt = e % 7 == 3 ? length : random.Below(length);
    for (size_t i = 0; i < length; ++i) {
      out[e].ids.push_back(static_cast<int32_t>(random.Below(300)));
      out[e].labels.push_back(i < prompt ? kNoLoss : out[e].ids.back());
    }
  }
  return out;
}

// What the teacher says of each token of one example: logits [LossTokens, vocab].
inline std::vector<std::vector<float>> LogitsOf(int64_t example, int64_t tokens, int64_t vocab) {
  RandomStream random(MakeKey(1000 + static_cast<uint64_t>(example), RandomUse::kData));
  std::vector<std::vector<float>> out(static_cast<size_t>(tokens));
  for (auto& row : out) {
    for (int64_t i = 0; i < vocab; ++i) row.push_back(static_cast<float>(random.Next()) * 0x1p-28f);
  }
  return out;
}

inline TopTokens RowsOf(int64_t example, int64_t tokens, const TeacherCacheKey& key) {
  TopSelector selector(key.vocab, key.top_k, key.temperature);
  TopTokens out(tokens, selector.kept());
  const auto logits = LogitsOf(example, tokens, key.vocab);
  for (int64_t row = 0; row < tokens; ++row) {
    selector.Select(logits[static_cast<size_t>(row)], out, row);
  }
  return out;
}

// Opens the folder, teaches up to example `until` and stops there as a kill would.
inline void Teach(const Path& folder, const TeacherCacheKey& key,
                  const std::vector<Example>& examples, int64_t until, int64_t shard_bytes) {
  TeacherCacheWriter writer(folder, key, examples, WhereOf, {.shard_bytes = shard_bytes});
  while (writer.next_example() < until) {
    const int64_t e = writer.next_example();
    writer.Append(RowsOf(e, examples[static_cast<size_t>(e)].LossTokens(), key));
  }
  if (until == static_cast<int64_t>(examples.size())) writer.Finish();
}

inline void TeachAll(const Path& folder, const TeacherCacheKey& key,
                     const std::vector<Example>& examples, int64_t shard_bytes = 3000) {
  Teach(folder, key, examples, static_cast<int64_t>(examples.size()), shard_bytes);
}

inline std::string ShardName(int64_t shard) {
  const std::string number = Cat(shard);
  return Cat("shard-", std::string(5 - number.size(), '0'), number, ".h5");
}

// The checksum of every file by name, hidden ones too.
inline std::map<std::string, std::string> FilesOf(const Path& folder) {
  std::map<std::string, std::string> out;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    out[entry.path().filename().string()] = Sha256(ReadText(entry.path()));
  }
  return out;
}

}  // namespace retort
