// SPDX-License-Identifier: Apache-2.0
#include "formats/hdf5_image.h"

#include <hdf5.h>

#include <atomic>
#include <cstdlib>

namespace retort::hdf5 {
namespace {

constexpr size_t kIncrement = 1 << 16;  // by which a new file's memory grows

// The driver takes files of one name for one file, and tries to open the name. So each image has a
// name of its own, and one under which no file can be.
std::string UniqueName() {
  static std::atomic<int64_t> next = 0;
  return Cat("/dev/null/image-", next++);
}

Handle CoreAccess(const std::string& place) {
  Handle access(Checked(H5Pcreate(H5P_FILE_ACCESS), place), H5Pclose);
  Checked(H5Pset_fapl_core(access.id(), kIncrement, /*backing_store=*/false), place);
  return access;
}

void SetCallbacks(const Handle& access, H5FD_file_image_callbacks_t callbacks, void* data,
                  const std::string& place) {
  callbacks.udata = data;
  callbacks.udata_copy = [](void* same) { return same; };
  callbacks.udata_free = [](void*) -> herr_t { return 0; };
  Checked(H5Pset_file_image_callbacks(access.id(), &callbacks), place);
}

// Lends the bytes, which are the callbacks' data, instead of copying them. Growing them fails.
constexpr H5FD_file_image_callbacks_t kLend = {
    [](size_t, H5FD_file_image_op_t, void* bytes) { return bytes; },
    [](void* to, const void*, size_t, H5FD_file_image_op_t, void*) { return to; },
    [](void*, size_t, H5FD_file_image_op_t, void*) -> void* { return nullptr; },
    [](void*, H5FD_file_image_op_t, void*) -> herr_t { return 0; },
    nullptr,
    nullptr,
    nullptr};

// The memory belongs to the NewImage, which is the callbacks' data: the driver's closing frees
// nothing.
constexpr H5FD_file_image_callbacks_t kGrow = {
    [](size_t bytes, H5FD_file_image_op_t, void* image) {
      return static_cast<NewImage*>(image)->Resize(nullptr, bytes);
    },
    nullptr,
    [](void* old, size_t bytes, H5FD_file_image_op_t, void* image) {
      return static_cast<NewImage*>(image)->Resize(old, bytes);
    },
    [](void*, H5FD_file_image_op_t, void*) -> herr_t { return 0; },
    nullptr,
    nullptr,
    nullptr};

}  // namespace

Handle OpenImage(Bytes bytes, const std::string& place) {
  if (bytes.empty()) throw InputError(place, ": is empty, expected an HDF5 file");
  const Handle access = CoreAccess(place);
  void* data = const_cast<std::byte*>(bytes.data());  // only read: the file is opened read-only
  SetCallbacks(access, kLend, data, place);
  Checked(H5Pset_file_image(access.id(), data, bytes.size()), place);
  return {Checked(H5Fopen(UniqueName().c_str(), H5F_ACC_RDONLY, access.id()), place), H5Fclose};
}

NewImage::NewImage(const std::string& place) {
  const Handle creation(Checked(H5Pcreate(H5P_FILE_CREATE), place), H5Pclose);
  Checked(H5Pset_obj_track_times(creation.id(), false), place);
  const Handle access = CoreAccess(place);
  SetCallbacks(access, kGrow, this, place);
  file_ = {
      Checked(H5Fcreate(UniqueName().c_str(), H5F_ACC_TRUNC, creation.id(), access.id()), place),
      H5Fclose};
}

NewImage::~NewImage() {
  file_.Release();
  std::free(data_);
}

Bytes NewImage::Close(const std::string& place) {
  Checked(H5Fflush(file_.id(), H5F_SCOPE_GLOBAL), place);
  // The memory is longer than the file, which ends where the library says after flushing.
  const ssize_t size = Checked(H5Fget_file_image(file_.id(), nullptr, 0), place);
  Checked(file_.Release(), place);
  return {static_cast<const std::byte*>(data_), static_cast<size_t>(size)};
}

void* NewImage::Resize(void* old, size_t bytes) {
  void* data = std::realloc(old, bytes);
  if (data) data_ = data;
  return data;
}

}  // namespace retort::hdf5
