// SPDX-License-Identifier: Apache-2.0
#include "formats/hdf5_handles.h"

#include <hdf5.h>

#include <type_traits>

namespace retort {

std::string_view NameOf(Hdf5Type type) {
  switch (type) {
    case Hdf5Type::kF32:
      return "f32";
    case Hdf5Type::kF64:
      return "f64";
    case Hdf5Type::kI32:
      return "i32";
    case Hdf5Type::kI64:
      return "i64";
    case Hdf5Type::kU8:
      return "u8";
    case Hdf5Type::kU16:
      return "u16";
  }
  return "";
}

namespace hdf5 {

static_assert(std::is_same_v<hid_t, int64_t> && std::is_same_v<herr_t, int>);

namespace {

constexpr size_t kLongestReason = 200;

std::recursive_mutex& LibraryMutex() {
  static std::recursive_mutex mutex;
  return mutex;
}

}  // namespace

// Without H5dont_atexit the library closes at exit once more what it could not close before, and
// crashes on that. It takes effect only before any other call.
InLibrary::InLibrary() : lock_(LibraryMutex()) {
  [[maybe_unused]] static const herr_t once = H5dont_atexit();
  H5Eget_auto2(H5E_DEFAULT, &function_, &data_);
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

InLibrary::~InLibrary() { H5Eset_auto2(H5E_DEFAULT, function_, data_); }

std::string Reason() {
  std::string reason;
  // Walks the stack from the function where the error occurred; the first entry is the most
  // specific.
  const auto take_first = [](unsigned n, const H5E_error2_t* error, void* out) -> herr_t {
    if (n == 0 && error->desc) *static_cast<std::string*>(out) = error->desc;
    return 0;
  };
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take_first, &reason);
  H5Eclear2(H5E_DEFAULT);
  if (reason.empty()) return "unknown error";
  // The library puts names out of the file into it.
  for (char& c : reason) {
    if (c < ' ' || c > '~') c = '?';
  }
  return reason.substr(0, kLongestReason);
}

int64_t FileType(Hdf5Type type) {
  switch (type) {
    case Hdf5Type::kF32:
      return H5T_IEEE_F32LE;
    case Hdf5Type::kF64:
      return H5T_IEEE_F64LE;
    case Hdf5Type::kI32:
      return H5T_STD_I32LE;
    case Hdf5Type::kI64:
      return H5T_STD_I64LE;
    case Hdf5Type::kU8:
      return H5T_STD_U8LE;
    case Hdf5Type::kU16:
      return H5T_STD_U16LE;
  }
  return H5I_INVALID_HID;
}

int64_t MemoryType(Hdf5Type type) {
  switch (type) {
    case Hdf5Type::kF32:
      return H5T_NATIVE_FLOAT;
    case Hdf5Type::kF64:
      return H5T_NATIVE_DOUBLE;
    case Hdf5Type::kI32:
      return H5T_NATIVE_INT32;
    case Hdf5Type::kI64:
      return H5T_NATIVE_INT64;
    case Hdf5Type::kU8:
      return H5T_NATIVE_UINT8;
    case Hdf5Type::kU16:
      return H5T_NATIVE_UINT16;
  }
  return H5I_INVALID_HID;
}

size_t BytesOf(Hdf5Type type) {
  switch (type) {
    case Hdf5Type::kF64:
    case Hdf5Type::kI64:
      return 8;
    case Hdf5Type::kF32:
    case Hdf5Type::kI32:
      return 4;
    case Hdf5Type::kU16:
      return 2;
    case Hdf5Type::kU8:
      return 1;
  }
  return 0;
}

}  // namespace hdf5
}  // namespace retort
