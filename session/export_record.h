// SPDX-License-Identifier: Apache-2.0
// What a run has exported, kept in its folder's exports.json: for each place the weights that it is
// of and the SHA-256 of what was put there.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/file.h"

namespace retort {

// Whether the place is in the run's folder, and so goes where that goes.
bool IsWithinRun(const Path& place, const Path& folder);

class ExportRecord {
 public:
  // Throws Error{kInput} if the folder's record cannot be read. Records of older versions, which
  // know places by name alone, vouch for nothing.
  explicit ExportRecord(const Path& folder);

  // Whether what stands at the place is what this run put there, of whatever was trained by then: a
  // file or folder with the same bytes. A copy of a run does not own what the run put elsewhere.
  bool Owns(const Path& place) const;
  // Whether what stands at the place is of these weights.
  bool Has(const Path& place, const std::string& trained) const;
  // Notes what is to get this place; it is whole, and still elsewhere. What stands at the place now
  // stays the run's own, so that a process may be killed before or after the two are exchanged.
  void Put(const Path& place, const std::string& trained, const Path& made);
  // Where the run's exports of other weights stand.
  std::vector<Path> Stale(const std::string& trained) const;

 private:
  struct Entry {
    std::string trained, run;         // of the weights; the run's folder as it was called
    std::vector<std::string> sha256;  // of all that the run put there; the last is of `trained`
  };
  std::string KeyOf(const Path& place) const;
  // The place's entry; nullptr if the run put nothing there.
  const Entry* Find(const Path& place) const;
  void Write() const;

  Path folder_, file_;
  std::map<std::string, Entry> places_;
};

}  // namespace retort
