// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <optional>

#include "base/error.h"
#include "data/teacher_files.h"

namespace retort {

struct TeacherCacheReader::State {
  Path folder;
  TeacherManifest manifest;
  TeacherCacheSummary summary;
  std::vector<std::optional<OpenShard>> shards;
  std::vector<RowDecoder> decoders;  // one per thread

  OpenShard& Shard(size_t index) {
    if (!shards[index]) {
      shards[index].emplace(TeacherShardPath(folder, index), manifest.shards[index],
                            manifest.layout());
    }
    return *shards[index];
  }

  // The requested rows of one block, and their destination: rows `at` and on of the output.
  struct Chunk {
    PackedRows packed;
    int64_t begin, count;  // in the block
    int64_t at;
  };

  // Appends the chunks of an example whose output rows begin at `at`; returns the end of its rows.
  int64_t AppendChunks(int64_t example, int64_t at, std::vector<Chunk>& chunks) {
    const auto after =
        std::upper_bound(manifest.shards.begin(), manifest.shards.end(), example,
                         [](int64_t e, const TeacherShard& s) { return e < s.first_example; });
    const auto index = static_cast<size_t>(after - manifest.shards.begin()) - 1;
    const OpenShard& shard = Shard(index);
    const auto local = static_cast<size_t>(example - manifest.shards[index].first_example);
    const int64_t end = shard.offsets()[local + 1], rows = manifest.layout().block_rows();
    for (int64_t row = shard.offsets()[local]; row < end;) {
      const int64_t within = row % rows, count = std::min(end - row, rows - within);
      chunks.push_back({shard.ReadBlock(row / rows), within, count, at});
      row += count;
      at += count;
    }
    return at;
  }
};

TeacherCacheSummary SummarizeTeacherCache(const Path& folder) {
  return Summarize(folder, ReadTeacherManifest(folder));
}

TeacherCacheReader::TeacherCacheReader(const Path& folder) {
  TeacherManifest manifest = ReadTeacherManifest(folder);
  const TeacherCacheSummary summary = Summarize(folder, manifest);
  if (!summary.finished()) {
    throw InputError(folder.string(),
                     ": the teacher's cache is not finished: ", summary.examples_done, " of ",
                     summary.examples, " examples are there; `retort teach` goes on with the rest");
  }
  for (size_t s = 0; s < manifest.shards.size(); ++s) {
    CheckTeacherShardSize(TeacherShardPath(folder, s), manifest.shards[s]);
  }
  std::vector<std::optional<OpenShard>> shards(manifest.shards.size());
  state_.reset(new State{folder, std::move(manifest), summary, std::move(shards), {}});
  state_->Shard(0);  // a cache from elsewhere is refused before any work is done for it
}

TeacherCacheReader::~TeacherCacheReader() = default;

const TeacherCacheSummary& TeacherCacheReader::summary() const { return state_->summary; }

void TeacherCacheReader::Check(const TeacherCacheKey& want) const {
  CheckTeacherKey(state_->folder, state_->manifest.key, want, true);
}

void TeacherCacheReader::CheckExamples(const Examples& examples, const WhereExample& where) const {
  CheckTeacherExamples(state_->folder, state_->manifest, examples, where);
}

void TeacherCacheReader::Read(std::span<const int64_t> examples, double temperature,
                              ThreadPool& pool, TopTokens& out) {
  const TeacherManifest& m = state_->manifest;
  RETORT_CHECK(temperature > 0 && (temperature == m.key.temperature || m.layout().all_kept()),
               "temperature ", temperature, " of a cache at ", m.key.temperature);
  std::vector<State::Chunk> chunks;
  int64_t rows = 0;
  for (const int64_t example : examples) {
    RETORT_CHECK(example >= 0 && example < m.examples, "example ", example, " of ", m.examples);
    rows = state_->AppendChunks(example, rows, chunks);
  }
  out.Resize(rows, m.key.top_k);
  std::vector<RowDecoder>& decoders = state_->decoders;
  while (std::ssize(decoders) < pool.threads()) decoders.emplace_back(m.layout());
  pool.For(std::ssize(chunks), [&](int64_t i, int worker) {
    const State::Chunk& p = chunks[static_cast<size_t>(i)];
    decoders[static_cast<size_t>(worker)].Decode(p.packed.Unpack(), p.begin, p.count,
                                                 p.packed.place, out, p.at);
  });
  if (temperature == m.key.temperature) return;
  const auto scale = static_cast<float>(m.key.temperature / temperature);
  for (float& log_prob : out.log_probs) log_prob *= scale;
  for (int64_t row = 0; row < out.n; ++row) Renormalize(out, row);
}

}  // namespace retort
