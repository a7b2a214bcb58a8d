// SPDX-License-Identifier: Apache-2.0
#include "formats/hdf5_dataset.h"

#include <hdf5.h>

namespace retort::hdf5 {
namespace {

constexpr hsize_t kLargestDim = hsize_t{1} << 48;  // keeps arithmetic on rows in range

std::vector<int64_t> Dims(hid_t space, const std::string& place) {
  const int rank = Checked(H5Sget_simple_extent_ndims(space), place);
  std::vector<hsize_t> dims(static_cast<size_t>(rank));
  Checked(H5Sget_simple_extent_dims(space, dims.data(), nullptr), place);
  std::vector<int64_t> out;
  for (const hsize_t dim : dims) {
    if (dim > kLargestDim) throw InputError(place, " has a dimension of ", uint64_t{dim});
    out.push_back(static_cast<int64_t>(dim));
  }
  return out;
}

void CheckStaysInFile(const Handle& dataset, const std::string& place) {
  const Handle creation(Checked(H5Dget_create_plist(dataset.id()), place), H5Pclose);
  if (Checked(H5Pget_layout(creation.id()), place) == H5D_VIRTUAL ||
      Checked(H5Pget_external_count(creation.id()), place) > 0) {
    throw InputError(place, " keeps its data in other files, which Retort does not read");
  }
}

}  // namespace

void RefuseOtherFiles(int64_t file, const std::string& place) {
  std::string name;
  const auto look = [](hid_t, const char* link, const H5L_info_t* info, void* out) -> herr_t {
    if (info->type == H5L_TYPE_HARD) return 0;
    try {
      *static_cast<std::string*>(out) = Cat("'", link, "'");
      return 1;
    } catch (...) {
      return -1;
    }
  };
  if (Checked(H5Lvisit(file, H5_INDEX_NAME, H5_ITER_INC, look, &name), place) == 0) return;
  throw InputError(place, ": ", name,
                   " is a link to another place or file, which Retort does not follow");
}

// H5Lexists checks only the last link of a path and requires the groups before it to exist.
bool Exists(int64_t file, const std::string& name) {
  for (size_t end = name.find('/');; end = name.find('/', end + 1)) {
    if (H5Lexists(file, name.substr(0, end).c_str(), H5P_DEFAULT) <= 0) return false;
    if (end == std::string::npos) return true;
  }
}

Handle OpenDataset(int64_t file, const std::string& name, const std::string& place) {
  if (!Exists(file, name)) throw InputError(place, " is missing");
  Handle dataset(Checked(H5Dopen2(file, name.c_str(), H5P_DEFAULT), place), H5Dclose);
  CheckStaysInFile(dataset, place);
  return dataset;
}

std::vector<int64_t> ShapeOf(const Handle& dataset, const std::string& place) {
  const Handle space(Checked(H5Dget_space(dataset.id()), place), H5Sclose);
  return Dims(space.id(), place);
}

std::string TypeTextOf(int64_t type) {
  for (const Hdf5Type t : kHdf5Types) {
    if (H5Tequal(type, FileType(t)) > 0) return std::string(NameOf(t));
  }
  return "other";
}

void CheckType(const Handle& dataset, Hdf5Type want, const std::string& place) {
  const Handle type(Checked(H5Dget_type(dataset.id()), place), H5Tclose);
  if (H5Tequal(type.id(), FileType(want)) <= 0) {
    throw InputError(place, " holds ", TypeTextOf(type.id()), ", expected ", NameOf(want));
  }
}

int64_t ChunkRowsOf(const Handle& dataset, const std::string& place) {
  const Handle creation(Checked(H5Dget_create_plist(dataset.id()), place), H5Pclose);
  if (Checked(H5Pget_layout(creation.id()), place) != H5D_CHUNKED) return 0;
  const std::vector<int64_t> shape = ShapeOf(dataset, place);
  std::vector<hsize_t> chunk(shape.size());
  const int rank =
      Checked(H5Pget_chunk(creation.id(), static_cast<int>(chunk.size()), chunk.data()), place);
  if (chunk.empty() || rank != std::ssize(chunk) || chunk[0] == 0 || chunk[0] > kLargestDim) {
    throw InputError(place, " is cut into chunks that do not fit its shape ", ShapeText(shape));
  }
  for (size_t i = 1; i < chunk.size(); ++i) {
    if (static_cast<int64_t>(chunk[i]) != shape[i]) {
      throw InputError(place, " is cut within its rows, expected chunks of whole rows");
    }
  }
  return static_cast<int64_t>(chunk[0]);
}

}  // namespace retort::hdf5
