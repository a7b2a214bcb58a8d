// SPDX-License-Identifier: Apache-2.0
// The reader's state and its functions on datasets; shared by the reader's source files.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "formats/hdf5_handles.h"
#include "formats/hdf5_held_file.h"

namespace retort {
namespace hdf5 {

// `place` names file and dataset in errors.
//
// Throws Error{kInput} naming the first link of the file that is not a hard one.
void RefuseOtherFiles(int64_t file, const std::string& place);
bool Exists(int64_t file, const std::string& name);
// Throws Error{kInput} when the dataset is missing, or its values lie in other files.
Handle OpenDataset(int64_t file, const std::string& name, const std::string& place);
std::vector<int64_t> ShapeOf(const Handle& dataset, const std::string& place);
std::string TypeTextOf(int64_t type);  // NameOf an Hdf5Type, or "other"
void CheckType(const Handle& dataset, Hdf5Type want, const std::string& place);
// 0 when the dataset is stored in one piece; chunks that split a row are Error{kInput}.
int64_t ChunkRowsOf(const Handle& dataset, const std::string& place);

// A dataset that is read chunk by chunk. It stays open, because opening costs more than reading a
// chunk.
struct ChunkedDataset {
  Handle dataset;
  Hdf5Type type;  // checked
  std::vector<int64_t> shape;
  int64_t chunk_rows;
  int shuffle, deflate;  // their indices in the filter pipeline, -1 for none
};

}  // namespace hdf5

struct Hdf5Reader::State {
  Path path;
  std::unique_ptr<const hdf5::HeldFile> held;  // the file's bytes, which the library reads in place
  hdf5::Handle file;
  std::map<std::string, hdf5::ChunkedDataset> chunked;

  void Open();  // of the held bytes

  ~State() {
    const hdf5::InLibrary in;
    chunked.clear();
    file.Release();
  }

  std::string Place(std::string_view what, std::string_view name) const {
    return Cat(path.string(), ": ", what, " '", name, "'");
  }
};

}  // namespace retort
