// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <list>
#include <map>
#include <mutex>
#include <optional>

#include "base/error.h"
#include "data/teacher_files.h"

namespace retort {
namespace {

TeacherCacheSummary Summarize(const TeacherManifest& m) {
  TeacherCacheSummary out;
  out.key = m.key;
  out.shards = static_cast<int64_t>(m.shards.size());
  out.examples = m.examples;
  out.examples_done = m.examples_done();
  for (const TeacherShard& s : m.shards) {
    out.tokens_done += s.tokens;
    out.stored_bytes += s.bytes;
  }
  out.raw_bytes = out.tokens_done * m.layout().row_bytes() +
                  out.examples_done * kTeacherBytesPerExample;
  return out;
}

// The decoded blocks that were used last, up to a number of bytes (and always one).
class BlockCache {
 public:
  struct Place {
    size_t shard;
    int64_t block;
    auto operator<=>(const Place&) const = default;
  };

  explicit BlockCache(int64_t limit) : limit_(limit) {}

  // nullptr when absent. Valid until the next Put.
  const TopTokens* Find(const Place& place) {
    const auto found = places_.find(place);
    if (found == places_.end()) return nullptr;
    recent_.splice(recent_.begin(), recent_, found->second);
    return &found->second->second;
  }

  const TopTokens& Put(const Place& place, TopTokens block) {
    bytes_ += BytesOf(block);
    recent_.emplace_front(place, std::move(block));
    places_[place] = recent_.begin();
    while (bytes_ > limit_ && recent_.size() > 1) {
      bytes_ -= BytesOf(recent_.back().second);
      places_.erase(recent_.back().first);
      recent_.pop_back();
    }
    return recent_.front().second;
  }

 private:
  static int64_t BytesOf(const TopTokens& block) { return block.n * (8 * block.k + 4); }

  const int64_t limit_;
  int64_t bytes_ = 0;
  std::list<std::pair<Place, TopTokens>> recent_;  // the last used one first
  std::map<Place, decltype(recent_)::iterator> places_;
};

void AppendRows(const TopTokens& from, int64_t begin, int64_t count, TopTokens& to) {
  const int64_t k = from.k;
  to.ids.insert(to.ids.end(), from.ids.begin() + begin * k, from.ids.begin() + (begin + count) * k);
  to.log_probs.insert(to.log_probs.end(), from.log_probs.begin() + begin * k,
                      from.log_probs.begin() + (begin + count) * k);
  to.tail.insert(to.tail.end(), from.tail.begin() + begin, from.tail.begin() + begin + count);
  to.n += count;
}

}  // namespace

struct TeacherCacheReader::State {
  std::mutex mutex;  // held for one example or block at a time
  Path folder;
  TeacherManifest manifest;
  TeacherCacheSummary summary;
  std::vector<std::optional<OpenShard>> shards;
  RowDecoder decoder;
  const int64_t memory_bytes;
  BlockCache blocks{memory_bytes};

  OpenShard& Shard(size_t index) {
    if (!shards[index]) {
      shards[index].emplace(TeacherShardPath(folder, index), manifest.shards[index],
                            manifest.layout());
    }
    return *shards[index];
  }

  const TopTokens& Block(size_t shard, int64_t block) {
    if (const TopTokens* found = blocks.Find({shard, block})) return *found;
    const OpenShard& open = Shard(shard);
    const int64_t rows = manifest.layout().block_rows(), begin = block * rows;
    const int64_t count = std::min(rows, manifest.shards[shard].tokens - begin);
    const std::string place = Cat(open.place(), ": block ", block);
    return blocks.Put({shard, block}, decoder.Decode(open.ReadRows(begin, count), count, place));
  }

  // Where an example's rows stand.
  struct Place {
    size_t shard;
    int64_t begin, end;
  };
  Place PlaceOf(int64_t example) {
    const auto after = std::upper_bound(
        manifest.shards.begin(), manifest.shards.end(), example,
        [](int64_t e, const TeacherShard& s) { return e < s.first_example; });
    const auto shard = static_cast<size_t>(after - manifest.shards.begin()) - 1;
    const auto& offsets = Shard(shard).offsets();
    const auto local = static_cast<size_t>(example - manifest.shards[shard].first_example);
    return {shard, offsets[local], offsets[local + 1]};
  }

  void AppendExample(int64_t example, TopTokens& out) {
    const std::lock_guard lock(mutex);
    const Place place = PlaceOf(example);
    const int64_t rows = manifest.layout().block_rows();
    for (int64_t row = place.begin; row < place.end;) {
      const int64_t within = row % rows, count = std::min(place.end - row, rows - within);
      AppendRows(Block(place.shard, row / rows), within, count, out);
      row += count;
    }
  }
};

TeacherCacheSummary SummarizeTeacherCache(const Path& folder) {
  return Summarize(ReadTeacherManifest(folder));
}

std::string TeacherShardChecksum(const Path& shard) {
  const Path folder = shard.parent_path();
  const TeacherManifest manifest = ReadTeacherManifest(folder);
  for (size_t s = 0; s < manifest.shards.size(); ++s) {
    if (TeacherShardPath(folder, s) == shard) return manifest.shards[s].sha256;
  }
  throw InputError(shard.string(), ": is not listed in the ", kTeacherCacheManifest, " beside it");
}

TeacherCacheReader::TeacherCacheReader(const Path& folder, const TeacherCacheReading& reading) {
  TeacherManifest manifest = ReadTeacherManifest(folder);
  const TeacherCacheSummary summary = Summarize(manifest);
  if (!summary.finished()) {
    throw InputError(folder.string(), ": the teacher's cache is not finished: ",
                     summary.examples_done, " of ", summary.examples,
                     " examples are there; `retort teach` goes on with the rest");
  }
  for (size_t s = 0; s < manifest.shards.size(); ++s) {
    CheckTeacherShardSize(TeacherShardPath(folder, s), manifest.shards[s]);
  }
  const TeacherLayout layout = manifest.layout();
  std::vector<std::optional<OpenShard>> shards(manifest.shards.size());
  state_.reset(new State{{}, folder, std::move(manifest), summary, std::move(shards),
                         RowDecoder(layout), reading.memory_bytes});
}

TeacherCacheReader::~TeacherCacheReader() = default;

const TeacherCacheSummary& TeacherCacheReader::summary() const { return state_->summary; }

void TeacherCacheReader::Check(const TeacherCacheKey& want) const {
  CheckTeacherKey(state_->folder, state_->manifest.key, want, true);
}

void TeacherCacheReader::CheckExamples(std::span<const Example> examples,
                                       const WhereExample& where) const {
  CheckTeacherExamples(state_->folder, state_->manifest, examples, where);
}

void TeacherCacheReader::Prefetch(std::span<const int64_t> examples) {
  State& s = *state_;
  const TeacherLayout layout = s.manifest.layout();
  const int64_t rows = layout.block_rows(), block_bytes = rows * (8 * layout.kept + 4);
  int64_t left = s.memory_bytes / 2;
  for (const int64_t example : examples) {
    std::unique_lock lock(s.mutex);
    const State::Place place = s.PlaceOf(example);
    lock.unlock();
    for (int64_t b = place.begin / rows; b * rows < place.end; ++b) {
      if ((left -= block_bytes) < 0) return;
      lock.lock();
      s.Block(place.shard, b);
      lock.unlock();
    }
  }
}

TopTokens TeacherCacheReader::Read(std::span<const int64_t> examples, double temperature) {
  const TeacherManifest& m = state_->manifest;
  RETORT_CHECK(temperature > 0 &&
                   (temperature == m.key.temperature || m.layout().all_kept()),
               "temperature ", temperature, " of a cache at ", m.key.temperature);
  TopTokens out(0, m.key.top_k);
  for (const int64_t example : examples) {
    RETORT_CHECK(example >= 0 && example < m.examples, "example ", example, " of ", m.examples);
    state_->AppendExample(example, out);
  }
  if (temperature == m.key.temperature) return out;
  const auto scale = static_cast<float>(m.key.temperature / temperature);
  for (float& log_prob : out.log_probs) log_prob *= scale;
  for (int64_t row = 0; row < out.n; ++row) Renormalize(out, row);
  return out;
}

}  // namespace retort
