// SPDX-License-Identifier: Apache-2.0
#include "session/export_record.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/strings.h"

namespace retort {
namespace {

// The place as seen from the run's folder, so that the run may be named, or moved, otherwise; empty
// if it is outside.
Path WithinRun(const Path& place, const Path& folder) {
  const Path whole = std::filesystem::weakly_canonical(place);
  const Path within = whole.lexically_relative(std::filesystem::weakly_canonical(folder));
  return within.empty() || *within.begin() == ".." ? Path() : within;
}

// Of a file, or of all names and files of a folder; "" if nothing is there.
std::string Sha256OfPlace(const Path& place) {
  if (std::filesystem::is_regular_file(place)) return Sha256OfFile(place);
  if (!std::filesystem::is_directory(place)) return "";
  std::vector<std::string> lines;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(place)) {
    const bool file = entry.is_regular_file() && !entry.is_symlink();
    lines.push_back(Cat(entry.path().lexically_relative(place).string(), '\0',
                        file ? Sha256OfFile(entry.path()) : "", '\n'));
  }
  std::ranges::sort(lines);
  return Sha256(Join(lines, ""));
}

}  // namespace

bool IsWithinRun(const Path& place, const Path& folder) {
  return !WithinRun(place, folder).empty();
}

ExportRecord::ExportRecord(const Path& folder) : folder_(folder), file_(folder / "exports.json") {
  if (!std::filesystem::exists(file_)) return;
  const Json json = ReadJson(file_);
  const auto places = json.find("places");
  if (places == json.end()) return;
  const std::string where = file_.string();
  for (const auto& [key, entry] : places->items())
    places_[key] = {GetString(entry, "trained", where), GetString(entry, "run", where),
                    Split(GetString(entry, "sha256", where), ' ')};
}

bool ExportRecord::Owns(const Path& place) const {
  const Entry* entry = Find(place);
  if (!entry) return false;
  const bool own = IsWithinRun(place, folder_) ||
                   entry->run == std::filesystem::weakly_canonical(folder_).string();
  return own && std::ranges::find(entry->sha256, Sha256OfPlace(place)) != entry->sha256.end();
}

bool ExportRecord::Has(const Path& place, const std::string& trained) const {
  const Entry* entry = Find(place);
  return entry && entry->trained == trained && entry->sha256.back() == Sha256OfPlace(place);
}

void ExportRecord::Put(const Path& place, const std::string& trained, const Path& made) {
  const bool own = Owns(place);
  Entry& entry = places_[KeyOf(place)];
  if (!own) entry.sha256.clear();
  entry.trained = trained;
  entry.run = std::filesystem::weakly_canonical(folder_).string();
  entry.sha256.push_back(Sha256OfPlace(made));
  Write();
}

std::vector<Path> ExportRecord::Stale(const std::string& trained) const {
  std::vector<Path> stale;
  for (const auto& [key, entry] : places_) {
    Path place = folder_ / key;  // `key` if that is absolute
    if (entry.trained != trained && Owns(place)) stale.push_back(std::move(place));
  }
  return stale;
}

std::string ExportRecord::KeyOf(const Path& place) const {
  const Path within = WithinRun(place, folder_);
  return (within.empty() ? std::filesystem::weakly_canonical(place) : within).string();
}

const ExportRecord::Entry* ExportRecord::Find(const Path& place) const {
  const auto at = places_.find(KeyOf(place));
  return at == places_.end() ? nullptr : &at->second;
}

void ExportRecord::Write() const {
  Json places = Json::object();
  for (const auto& [key, entry] : places_)
    places[key] = {
        {"trained", entry.trained}, {"run", entry.run}, {"sha256", Join(entry.sha256, " ")}};
  WriteTextAtomically(file_, DumpJson({{"places", places}}, 2) + "\n");
}

}  // namespace retort
