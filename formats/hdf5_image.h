// SPDX-License-Identifier: Apache-2.0
// HDF5 files in memory, through the library's "core" driver without a file behind it. The library
// opens no file by name: what it reads was checked before, and no disk can fill up under it.
#pragma once

#include "base/file.h"
#include "formats/hdf5_handles.h"

namespace retort::hdf5 {

// Opens bytes read-only and in place. They must outlive the handle and everything opened through
// it. `place` names the file in errors.
Handle OpenImage(Bytes bytes, const std::string& place);

// A new file that grows in memory. Takes as much memory as the file is long, at most twice that
// while it grows.
class NewImage {
 public:
  explicit NewImage(const std::string& place);
  ~NewImage();
  NewImage(const NewImage&) = delete;
  NewImage& operator=(const NewImage&) = delete;

  int64_t id() const { return file_.id(); }
  // Closes the file, in which nothing may be open any more; returns its bytes, which live as long
  // as this object.
  Bytes Close(const std::string& place);

  // For the driver.
  void* Resize(void* old, size_t bytes);

 private:
  Handle file_;
  void* data_ = nullptr;
};

}  // namespace retort::hdf5
