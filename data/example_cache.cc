// SPDX-License-Identifier: Apache-2.0
#include "data/example_cache.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file_reader.h"
#include "base/json.h"
#include "base/seal.h"
#include "base/sha256.h"
#include "tokenizer/spec_hash.h"

namespace retort {
namespace {

constexpr std::string_view kMagic = "RTEXMPL1";
constexpr std::string_view kPurpose = "examples of rows";
constexpr std::string_view kEnding = ".examples";
constexpr size_t kSealDigits = 64;
constexpr size_t kFooter = sizeof(uint64_t) + kSealDigits + kMagic.size();
constexpr uint64_t kMostManifest = uint64_t{64} << 20;
constexpr size_t kPieceWords = kTreePiece / sizeof(uint32_t);
constexpr std::chrono::hours kUnused{30 * 24};

static_assert(std::endian::native == std::endian::little, "the file's words are little-endian");

Path FileOf(const Path& folder, const std::string& key) { return folder / Cat(key, kEnding); }

Bytes BytesOf(const std::vector<uint32_t>& words) { return std::as_bytes(std::span(words)); }

Json ManifestOf(const ExampleSet& set, const std::string& key, const std::string& digest) {
  return {{"key", key},
          {"digest", digest},
          {"examples", set.examples.size()},
          {"rows", set.rows},
          {"dropped", set.dropped},
          {"truncated", set.truncated},
          {"split", set.split},
          {"without_loss", set.without_loss},
          {"tokens", set.tokens},
          {"loss_tokens", set.loss_tokens},
          {"distinct_ids", set.distinct_ids},
          {"hash", set.hash},
          {"notes", set.notes}};
}

ExampleSet SetOf(const Json& json, const std::string& where) {
  ExampleSet set;
  for (const auto& [key, field] :
       std::initializer_list<std::pair<const char*, int64_t*>>{{"rows", &set.rows},
                                                               {"dropped", &set.dropped},
                                                               {"truncated", &set.truncated},
                                                               {"split", &set.split},
                                                               {"without_loss", &set.without_loss},
                                                               {"tokens", &set.tokens},
                                                               {"loss_tokens", &set.loss_tokens},
                                                               {"distinct_ids", &set.distinct_ids}})
    *field = GetInt(json, key, where);
  set.hash = GetString(json, "hash", where);
  for (const Json& note : json.at("notes")) set.notes.push_back(note.get<std::string>());
  return set;
}

// The sealed manifest of a file. Throws Error{kInput}, or what JSON's accessors throw.
Json ReadManifest(const FileReader& file, uint64_t& length) {
  const std::string where = file.path().string();
  const auto read = [&](uint64_t begin, uint64_t size) {
    std::string text(size, '\0');
    file.Read(begin, std::as_writable_bytes(std::span(text)));
    return text;
  };
  const uint64_t size = file.size();
  if (size < kFooter) throw InputError(where, ": is no cache");
  const std::string footer = read(size - kFooter, kFooter);
  std::memcpy(&length, footer.data(), sizeof length);
  if (!footer.ends_with(kMagic) || length > kMostManifest || length > size - kFooter)
    throw InputError(where, ": is no cache");
  const std::string text = read(size - kFooter - length, length);
  if (!SealHolds(kPurpose, std::as_bytes(std::span(text)),
                 std::string_view(footer).substr(sizeof length, kSealDigits)))
    throw InputError(where, ": has no seal of this user's Retort");
  return ParseJson(text, where);
}

ExampleSet ReadChecked(const Path& path, const std::string& key, ThreadPool& pool) {
  const std::string where = path.string();
  const auto file = FileReader::Open(path);
  uint64_t manifest_bytes = 0;
  const Json manifest = ReadManifest(*file, manifest_bytes);
  if (GetString(manifest, "key", where) != key) throw InputError(where, ": is of other rows");
  const uint64_t content = file->size() - kFooter - manifest_bytes;
  const auto count = static_cast<uint64_t>(GetInt(manifest, "examples", where));
  if (count > content / sizeof(uint32_t)) throw InputError(where, ": is cut short");
  const uint64_t words_bytes = content - count * sizeof(uint32_t);
  const std::string words = Sha256OfTree(words_bytes, pool, [&](uint64_t begin, uint64_t size) {
    std::vector<std::byte> piece(size);
    file->Read(begin, piece);
    return Sha256(piece);
  });
  std::vector<uint32_t> sizes(count);
  file->Read(words_bytes, std::as_writable_bytes(std::span(sizes)));
  if (Sha256(Cat(words, Sha256(BytesOf(sizes)))) != GetString(manifest, "digest", where))
    throw InputError(where, ": is damaged");
  ExampleSet set = SetOf(manifest, where);
  set.examples = Examples(file, 0, std::move(sizes));
  return set;
}

}  // namespace

std::string ExampleKey(const Rows& rows, const Tokenizer& tokenizer, const ChatTemplate* chat,
                       const ExampleOptions& options, ThreadPool& pool) {
  const auto& [loss_on, over_length, audit, answers, max_tokens, model_limit, add_eos, check,
               tokens_name, over_name] = options;
  std::string text = Cat(Sha256OfFile("/proc/self/exe"), " ", SpecHash(tokenizer.spec()), " ",
                         chat ? Sha256(Cat(chat->name(), "\n", chat->Jinja())) : "", " ",
                         static_cast<int>(loss_on), " ", static_cast<int>(over_length), " ",
                         static_cast<int>(audit), " ", static_cast<int>(answers), " ", max_tokens,
                         " ", model_limit, " ", add_eos, " ", tokens_name, " ", over_name, " ",
                         Sha256(BytesOf(rows.chosen())), " ",
                         check ? Sha256(DumpJson(SchemaJson(check->source()))) : "", "\n");
  for (size_t s = 0; s < rows.sources().size(); ++s) {
    const MappedFile& file = rows.File(s);
    const std::string digest =
        Sha256OfTree(file.bytes().size(), pool, [&](uint64_t begin, uint64_t size) {
          const Bytes piece = file.bytes().subspan(begin, size);
          std::string sum = Sha256(piece);
          file.Drop(piece);
          return sum;
        });
    text += Cat(file.bytes().size(), " ", digest, " ", static_cast<int>(rows.Format(s)), " ",
                Sha256(file.path().string()), "\n");
  }
  return Sha256(text);
}

std::optional<ExampleSet> ReadExampleCache(const Path& folder, const std::string& key,
                                           ThreadPool& pool, bool mark) {
  const Path path = FileOf(folder, key);
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return std::nullopt;
  try {
    ExampleSet set = ReadChecked(path, key, pool);
    if (mark)
      std::filesystem::last_write_time(path, std::filesystem::file_time_type::clock::now(),
                                       ignored);
    return set;
  } catch (const Error&) {  // whatever is wrong with it, the rows are there to be read again
  } catch (const Json::exception&) {
  }
  return std::nullopt;
}

ExampleWriter::ExampleWriter(const Path& folder, const std::string& key, int64_t rows)
    : folder_(folder), key_(key) {
  sizes_.reserve(static_cast<size_t>(rows));
  if (folder.empty()) return;
  if (!key.empty()) RequireSecret();
  file_ = std::make_unique<AtomicFile>(FileOf(folder, key.empty() ? "retort" : key));
  words_.reserve(2 * kPieceWords);
}

ExampleWriter::~ExampleWriter() = default;

void ExampleWriter::Add(const Example& example) {
  AppendWords(example, words_);
  sizes_.push_back(ExampleSize(example).word());
  while (file_ && words_.size() >= kPieceWords) Flush();
}

// Writes a piece, or the rest.
void ExampleWriter::Flush() {
  const size_t count = std::min(words_.size(), kPieceWords);
  const Bytes piece = BytesOf(words_).first(count * sizeof(uint32_t));
  digests_.push_back(Sha256(piece));
  file_->Write(piece);
  words_.erase(words_.begin(), words_.begin() + static_cast<std::ptrdiff_t>(count));
}

void ExampleWriter::Finish(ExampleSet& set) {
  if (!file_) {
    set.examples = Examples(std::move(words_), std::move(sizes_));
    return;
  }
  if (!words_.empty()) Flush();
  const std::string digest = Sha256(Cat(Sha256OfDigests(digests_), Sha256(BytesOf(sizes_))));
  if (!key_.empty()) file_->Write(BytesOf(sizes_));
  set.examples = Examples(file_->Reader(), 0, std::move(sizes_));
  if (key_.empty()) return file_.reset();
  const std::string manifest = DumpJson(ManifestOf(set, key_, digest));
  const uint64_t length = manifest.size();
  file_->Write(manifest);
  file_->Write(std::as_bytes(std::span(&length, 1)));
  file_->Write(Seal(kPurpose, std::as_bytes(std::span(manifest))));
  file_->Write(kMagic);
  file_->Commit();
}

void RemoveOldCaches(const Path& folder, uint64_t most) {
  RemoveLeftovers(folder);
  const auto now = std::filesystem::file_time_type::clock::now();
  std::vector<std::pair<std::filesystem::file_time_type, Path>> caches;
  std::error_code problem, ignored;
  std::filesystem::directory_iterator at(folder, problem);
  for (const std::filesystem::directory_iterator end; !problem && at != end;
       at.increment(problem)) {
    if (at->path().extension() == kEnding)
      caches.emplace_back(at->last_write_time(ignored), at->path());
  }
  std::ranges::sort(caches, std::greater());
  uint64_t taken = 0;
  for (size_t i = 0; i < caches.size(); ++i) {
    const auto& [used, path] = caches[i];
    const uint64_t size = std::filesystem::file_size(path, problem);
    if (!problem) taken += size;
    if (used + kUnused < now || (i > 0 && taken > most)) std::filesystem::remove(path, ignored);
  }
}

}  // namespace retort
