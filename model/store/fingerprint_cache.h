// SPDX-License-Identifier: Apache-2.0
// Remembers fingerprints between processes (UseFingerprintCache).
#pragma once

#include <string>
#include <vector>

#include "base/file.h"

namespace retort {

// The record of a model's files as they are now: found and put only while every file keeps its
// path, size, inode and times. Small models have none: hashing them again takes no time.
class FingerprintRecord {
 public:
  explicit FingerprintRecord(const std::vector<Path>& files);

  std::string Find() const;  // "" if there is none
  // Does nothing if a file was changed in the last seconds, because a change that follows could
  // leave the same time, or if the record cannot be written.
  void Put(const std::string& fingerprint) const;

 private:
  Path path_;             // of the record; empty: not used
  std::string identity_;  // a line for each file
  bool settled_ = false;  // no file is newer than a few seconds
};

}  // namespace retort
