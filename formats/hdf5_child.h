// SPDX-License-Identifier: Apache-2.0
// Reads HDF5 files from anybody. The library reads them in a child process, this program started
// anew, that has given up everything but computing (base/confine.h). What the child sends is plain
// and checked here; if the child dies, the file is refused.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "formats/hdf5.h"

namespace retort {

// A dataset or an attribute of the whole file.
struct Hdf5Item {
  enum class Kind : uint8_t { kDataset, kText, kInt, kNumber };
  Kind kind = Kind::kDataset;
  std::string name;  // printable, at most 1,000 bytes
  // Of a dataset.
  std::optional<Hdf5Type> type;  // nullopt: one that Retort does not use
  std::vector<int64_t> shape;
  int64_t stored_bytes = 0;
  std::vector<std::byte> values;  // all of them, in rows; empty when only names were asked for
  // Of an attribute.
  std::string text;
  int64_t integer = 0;
  double number = 0;
};

enum class Hdf5Wanted { kNames, kValues };

// Gives `take` every dataset by its name in order; with kValues first every attribute, and the
// values of the datasets, which then must be of an Hdf5Type, of one or two dimensions and together
// at most `most_bytes`. Takes as much memory as the largest dataset. Throws Error{kInput} naming
// the file when it cannot be read, is beyond the limits, or makes the library crash.
void ReadHdf5InChild(const Path& path, Hdf5Wanted wanted, int64_t most_bytes,
                     const std::function<void(Hdf5Item&&)>& take);

// The child's side. ReadHdf5InChild starts this program with the arguments kHdf5ChildCommand,
// "names" or "values", most_bytes, "--" and the path; a program that calls it must answer that with
// this function and then end at once (_exit) with its result. Writes to standard output.
inline constexpr const char* kHdf5ChildCommand = "read-hdf5";
int RunHdf5Child(Hdf5Wanted wanted, int64_t most_bytes, const Path& path);

}  // namespace retort
