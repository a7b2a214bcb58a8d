// SPDX-License-Identifier: Apache-2.0
// The manifest of a teacher's cache: reading with validation, writing, comparing.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/checked.h"
#include "base/error.h"
#include "base/hex.h"
#include "base/json.h"
#include "data/teacher_files.h"

namespace retort {
namespace {

constexpr int64_t kMaxVocab = 1 << 24;  // an id takes at most three bytes
constexpr int64_t kMaxCount = int64_t{1}
                              << 40;   // limit of every count and of all bytes; keeps sums in range
constexpr int64_t kMostPacked = 1100;  // deflate's compression ratio is at most 1032

int64_t Bounded(const Json& object, const char* name, int64_t least, int64_t most,
                const std::string& where) {
  const int64_t value = GetInt(object, name, where);
  if (value < least || value > most) {
    throw InputError(where, ": '", name, "' is ", value, ", expected ", least, " to ", most);
  }
  return value;
}

std::string Checksum(const Json& object, const char* name, const std::string& where) {
  std::string text = GetString(object, name, where);
  if (text.size() != 64 || text.find_first_not_of(kHexDigits) != std::string::npos) {
    throw InputError(where, ": '", name, "' must be 64 hexadecimal digits");
  }
  return text;
}

TeacherShard ParseShard(const Json& json, const TeacherManifest& before, const std::string& where) {
  TeacherShard shard;
  shard.stamp.sha256 = Checksum(json, "sha256", where);
  if (json.contains("seal")) shard.stamp.seal = Checksum(json, "seal", where);
  shard.stamp.bytes = Bounded(json, "bytes", 1, kMaxCount, where);
  shard.first_example = Bounded(json, "first_example", 0, kMaxCount, where);
  shard.examples = Bounded(json, "examples", 1, kMaxCount, where);
  shard.tokens = Bounded(json, "tokens", 0, kMaxCount, where);
  shard.examples_sha256 = Checksum(json, "examples_sha256", where);
  if (shard.first_example != before.examples_done()) {
    throw InputError(where, ": 'first_example' is ", shard.first_example, ", expected ",
                     before.examples_done());
  }
  if (shard.examples > before.examples - shard.first_example) {
    throw InputError(where, ": holds examples beyond the ", before.examples, " of the whole");
  }
  // Examples are stored uncompressed, rows compressed. Counts beyond what the file can hold are
  // rejected before memory is allocated for them.
  const uint64_t raw = CheckedMul(static_cast<uint64_t>(shard.tokens),
                                  static_cast<uint64_t>(before.layout().row_bytes()), where);
  if (shard.examples > shard.stamp.bytes / kTeacherBytesPerExample ||
      raw / kMostPacked > static_cast<uint64_t>(shard.stamp.bytes)) {
    throw InputError(where, ": ", shard.stamp.bytes, " bytes cannot hold ", shard.examples,
                     " examples of ", shard.tokens, " tokens");
  }
  return shard;
}

}  // namespace

Path TeacherShardPath(const Path& folder, size_t shard) {
  const std::string number = Cat(shard);
  return folder /
         Cat("shard-", std::string(number.size() < 5 ? 5 - number.size() : 0, '0'), number, ".h5");
}

TeacherManifest ReadTeacherManifest(const Path& folder) {
  const Path path = folder / kTeacherCacheManifest;
  const std::string where = path.string();
  if (!std::filesystem::exists(path)) {
    throw InputError(folder.string(), ": holds no ", kTeacherCacheManifest,
                     "; make a teacher's cache with `retort teach`");
  }
  const Json json = ReadJson(path);
  if (const int64_t version = GetInt(json, "retort_teacher_cache", where); version != 1) {
    throw InputError(where, ": version ", version, " of the format, expected 1");
  }
  TeacherManifest m;
  m.key.teacher = GetString(json, "teacher", where);
  m.key.fingerprint = GetString(json, "fingerprint", where);
  m.key.adapter_fingerprint = GetString(json, "adapter_fingerprint", where);
  m.key.tokenizer_hash = GetString(json, "tokenizer_hash", where);
  m.key.template_hash = GetString(json, "template_hash", where);
  m.key.vocab = Bounded(json, "vocab", 1, kMaxVocab, where);
  m.key.top_k = Bounded(json, "top_k", 1, m.key.vocab, where);
  m.key.temperature = GetNumber(json, "temperature", where);
  if (!(m.key.temperature > 0) || !std::isfinite(m.key.temperature)) {
    throw InputError(where, ": 'temperature' must be positive");
  }
  m.examples = Bounded(json, "examples", 1, kMaxCount, where);
  m.shard_bytes = Bounded(json, "shard_bytes", 1, kMaxCount, where);
  const auto shards = json.find("shards");
  if (shards == json.end() || !shards->is_array()) {
    throw InputError(where, ": 'shards' must be a list");
  }
  int64_t bytes = 0;
  for (const Json& shard : *shards) {
    m.shards.push_back(ParseShard(shard, m, Cat(where, ": shard ", m.shards.size())));
    bytes += m.shards.back().stamp.bytes;
    if (bytes > kMaxCount)
      throw InputError(where, ": its shards take more than ", kMaxCount, " bytes");
  }
  Summarize(folder, m);  // checks the sums
  return m;
}

TeacherCacheSummary Summarize(const Path& folder, const TeacherManifest& m) {
  const std::string where = Cat((folder / kTeacherCacheManifest).string(), ": shards");
  uint64_t tokens = 0, stored = 0;
  for (const TeacherShard& s : m.shards) {
    tokens = CheckedAdd(tokens, static_cast<uint64_t>(s.tokens), where);
    stored = CheckedAdd(stored, static_cast<uint64_t>(s.stamp.bytes), where);
  }
  const uint64_t rows = CheckedMul(tokens, static_cast<uint64_t>(m.layout().row_bytes()), where);
  // Examples are at most kMaxCount.
  const uint64_t raw =
      CheckedAdd(rows, static_cast<uint64_t>(m.examples_done() * kTeacherBytesPerExample), where);
  if (std::max(raw, stored) > INT64_MAX) {
    throw InputError(where, ": ", tokens, " tokens in ", stored, " bytes overflow");
  }
  TeacherCacheSummary out;
  out.key = m.key;
  out.shards = static_cast<int64_t>(m.shards.size());
  out.examples = m.examples;
  out.examples_done = m.examples_done();
  out.tokens_done = static_cast<int64_t>(tokens);
  out.raw_bytes = static_cast<int64_t>(raw);
  out.stored_bytes = static_cast<int64_t>(stored);
  return out;
}

void WriteTeacherManifest(const Path& folder, const TeacherManifest& m) {
  Json shards = Json::array();
  for (const TeacherShard& s : m.shards) {
    Json shard = {{"sha256", s.stamp.sha256},
                  {"bytes", s.stamp.bytes},
                  {"first_example", s.first_example},
                  {"examples", s.examples},
                  {"tokens", s.tokens},
                  {"examples_sha256", s.examples_sha256}};
    if (!s.stamp.seal.empty()) shard["seal"] = s.stamp.seal;
    shards.push_back(std::move(shard));
  }
  const Json json = {{"retort_teacher_cache", 1},
                     {"teacher", m.key.teacher},
                     {"fingerprint", m.key.fingerprint},
                     {"adapter_fingerprint", m.key.adapter_fingerprint},
                     {"tokenizer_hash", m.key.tokenizer_hash},
                     {"template_hash", m.key.template_hash},
                     {"vocab", m.key.vocab},
                     {"top_k", m.key.top_k},
                     {"temperature", m.key.temperature},
                     {"examples", m.examples},
                     {"shard_bytes", m.shard_bytes},
                     {"shards", std::move(shards)}};
  WriteTextAtomically(folder / kTeacherCacheManifest, DumpJson(json, 2) + "\n");
}

void CheckTeacherKey(const Path& folder, const TeacherCacheKey& have, const TeacherCacheKey& want,
                     bool any_temperature) {
  const auto compare = [&](std::string_view what, const auto& held, const auto& wanted,
                           const std::string& held_note = "", const std::string& wanted_note = "") {
    if (held == wanted) return;
    const auto shown = [](const auto& value) {
      if constexpr (std::is_arithmetic_v<std::decay_t<decltype(value)>>)
        return Cat(value);
      else
        return value.empty() ? std::string("none") : Cat("'", value, "'");
    };
    throw InputError(folder.string(), ": the cache is of ", what, " ", shown(held), held_note,
                     ", wanted is ", shown(wanted), wanted_note, "; ", kTeachElsewhere);
  };
  const auto made_by = [](const std::string& teacher) { return Cat(" (", teacher, ")"); };
  compare("teacher", have.fingerprint, want.fingerprint, made_by(have.teacher),
          made_by(want.teacher));
  compare("teacher's adapter", have.adapter_fingerprint, want.adapter_fingerprint);
  compare("tokenizer", have.tokenizer_hash, want.tokenizer_hash);
  compare("chat template", have.template_hash, want.template_hash);
  compare("vocabulary", have.vocab, want.vocab);
  compare("top_k", have.top_k, std::min(want.top_k, want.vocab));
  if (!any_temperature || have.top_k < have.vocab) {
    compare("temperature", have.temperature, want.temperature);
  }
}

}  // namespace retort
