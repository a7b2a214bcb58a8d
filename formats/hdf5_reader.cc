// SPDX-License-Identifier: Apache-2.0
#include <hdf5.h>

#include <algorithm>

#include "base/checked.h"
#include "base/seal.h"
#include "base/shell_word.h"
#include "formats/hdf5_dataset.h"
#include "formats/hdf5_image.h"

namespace retort {

using hdf5::Checked;
using hdf5::Handle;
using hdf5::InLibrary;
using hdf5::OpenDataset;

namespace {

constexpr size_t kLongestText = 60'001;  // what Hdf5Writer::SetText writes, with its NUL

std::string TrustCommand(const Path& folder) {
  const std::string text = folder.empty() ? "." : folder.string();
  return Cat("retort trust ", text[0] == '-' ? "-- " : "", ShellWord(text));
}

Handle OpenAttribute(hid_t file, const std::string& name, const std::string& place) {
  if (H5Aexists(file, name.c_str()) <= 0) throw InputError(place, " is missing");
  return {Checked(H5Aopen(file, name.c_str(), H5P_DEFAULT), place), H5Aclose};
}

// Reads a scalar attribute whose type in the file is `file_type`.
void ReadScalar(hid_t file, const std::string& name, hid_t file_type, hid_t memory_type, void* out,
                std::string_view want, const std::string& place) {
  const Handle attribute = OpenAttribute(file, name, place);
  const Handle type(Checked(H5Aget_type(attribute.id()), place), H5Tclose);
  const Handle space(Checked(H5Aget_space(attribute.id()), place), H5Sclose);
  if (H5Tequal(type.id(), file_type) <= 0 || H5Sget_simple_extent_type(space.id()) != H5S_SCALAR) {
    throw InputError(place, " is not ", want);
  }
  Checked(H5Aread(attribute.id(), memory_type, out), place);
}

}  // namespace

bool Hdf5Reader::IsSealed(const Path& path, const Hdf5Stamp& stamp) {
  return !stamp.seal.empty() &&
         SealHolds(hdf5::kSealPurpose, hdf5::HeldFile(path).bytes(), stamp.seal);
}

Hdf5Reader Hdf5Reader::OpenSealed(const Path& path, const Hdf5Stamp& stamp, std::string_view mend) {
  auto state = std::make_unique<State>();
  state->path = path;
  state->held = std::make_unique<const hdf5::HeldFile>(path);
  const Bytes bytes = state->held->bytes();
  if (stamp.seal.empty() || !SealHolds(hdf5::kSealPurpose, bytes, stamp.seal)) {
    if (const std::string have = Sha256(bytes); have != stamp.sha256) {
      throw InputError(path.string(), ": checksum is ", have, ", expected ",
                       std::string_view(stamp.sha256).substr(0, 64),
                       "; the file was changed or damaged", mend.empty() ? "" : "; ", mend);
    }
    throw InputError(path.string(), ": has no seal of this user's Retort: it comes from an older ",
                     "version, another user or another machine; `",
                     TrustCommand(path.parent_path()), "` converts it, if you trust its numbers");
  }
  state->Open();
  return Hdf5Reader(std::move(state));
}

Hdf5Reader Hdf5Reader::OpenUnsealed(const Path& path, std::unique_ptr<const hdf5::HeldFile> held) {
  auto state = std::make_unique<State>();
  state->path = path;
  state->held = std::move(held);
  state->Open();
  return Hdf5Reader(std::move(state));
}

void Hdf5Reader::State::Open() {
  const InLibrary in;
  const std::string place = path.string();
  // Disables plugins: a file must not cause code to be loaded. Only built-in filters are available.
  Checked(H5PLset_loading_state(0), place);
  file = hdf5::OpenImage(held->bytes(), place);
  hdf5::RefuseOtherFiles(file.id(), place);
}

Hdf5Reader::Hdf5Reader(std::unique_ptr<State> state) : state_(std::move(state)) {}
Hdf5Reader::~Hdf5Reader() = default;
Hdf5Reader::Hdf5Reader(Hdf5Reader&&) noexcept = default;
Hdf5Reader& Hdf5Reader::operator=(Hdf5Reader&&) noexcept = default;

bool Hdf5Reader::Has(const std::string& name) const {
  const InLibrary in;
  return hdf5::Exists(state_->file.id(), name);
}

std::vector<int64_t> Hdf5Reader::ShapeOf(const std::string& name) const {
  const InLibrary in;
  const std::string place = state_->Place("dataset", name);
  return hdf5::ShapeOf(OpenDataset(state_->file.id(), name, place), place);
}

int64_t Hdf5Reader::ChunkRows(const std::string& name) const {
  const InLibrary in;
  const std::string place = state_->Place("dataset", name);
  const Handle dataset = OpenDataset(state_->file.id(), name, place);
  return hdf5::ChunkRowsOf(dataset, place);
}

std::vector<Hdf5Reader::Dataset> Hdf5Reader::Datasets() const {
  const InLibrary in;
  std::vector<std::string> names;
  // Called by C code, so exceptions must not leave it: a failed push_back returns an error status.
  const auto take = [](hid_t, const char* name, const H5O_info_t* info, void* out) -> herr_t {
    try {
      auto& found = *static_cast<std::vector<std::string>*>(out);
      if (info->type == H5O_TYPE_DATASET) found.emplace_back(name);
      return 0;
    } catch (...) {
      return -1;
    }
  };
  Checked(H5Ovisit(state_->file.id(), H5_INDEX_NAME, H5_ITER_INC, take, &names),
          state_->path.string());
  std::sort(names.begin(), names.end());
  std::vector<Dataset> out;
  for (const std::string& name : names) {
    const std::string place = state_->Place("dataset", name);
    const Handle dataset = OpenDataset(state_->file.id(), name, place);
    const Handle type(Checked(H5Dget_type(dataset.id()), place), H5Tclose);
    out.push_back({name, hdf5::TypeTextOf(type.id()), hdf5::ShapeOf(dataset, place),
                   static_cast<int64_t>(H5Dget_storage_size(dataset.id()))});
  }
  return out;
}

std::vector<Hdf5Reader::Attribute> Hdf5Reader::Attributes() const {
  const InLibrary in;
  const std::string place = state_->path.string();
  std::vector<std::string> names;
  const auto take = [](hid_t, const char* name, const H5A_info_t*, void* out) -> herr_t {
    try {
      static_cast<std::vector<std::string>*>(out)->emplace_back(name);
      return 0;
    } catch (...) {
      return -1;
    }
  };
  Checked(H5Aiterate2(state_->file.id(), H5_INDEX_NAME, H5_ITER_INC, nullptr, take, &names), place);
  std::vector<Attribute> out;
  for (const std::string& name : names) {
    const Handle attribute =
        OpenAttribute(state_->file.id(), name, state_->Place("attribute", name));
    const Handle type(Checked(H5Aget_type(attribute.id()), place), H5Tclose);
    using enum Attribute::Kind;
    out.push_back({name, H5Tget_class(type.id()) == H5T_STRING     ? kText
                         : H5Tequal(type.id(), H5T_STD_I64LE) > 0  ? kInt
                         : H5Tequal(type.id(), H5T_IEEE_F64LE) > 0 ? kNumber
                                                                   : kOther});
  }
  return out;
}

void Hdf5Reader::ReadRaw(const std::string& name, const std::vector<int64_t>& shape, Hdf5Type type,
                         std::span<std::byte> out) const {
  const InLibrary in;
  const std::string place = state_->Place("dataset", name);
  const Handle dataset = OpenDataset(state_->file.id(), name, place);
  hdf5::CheckType(dataset, type, place);
  const std::vector<int64_t> have = hdf5::ShapeOf(dataset, place);
  if (have != shape) {
    throw InputError(place, " has shape ", ShapeText(have), ", expected ", ShapeText(shape));
  }
  uint64_t bytes = hdf5::BytesOf(type);
  for (int64_t dim : shape) bytes = CheckedMul(bytes, static_cast<uint64_t>(dim), place);
  RETORT_CHECK(bytes == out.size(), place, ": ", out.size(), " bytes of room for ", bytes);
  if (bytes == 0) return;
  Checked(H5Dread(dataset.id(), hdf5::MemoryType(type), H5S_ALL, H5S_ALL, H5P_DEFAULT, out.data()),
          place);
}

std::string Hdf5Reader::Text(const std::string& name) const {
  const InLibrary in;
  const std::string place = state_->Place("attribute", name);
  const Handle attribute = OpenAttribute(state_->file.id(), name, place);
  const Handle type(Checked(H5Aget_type(attribute.id()), place), H5Tclose);
  const Handle space(Checked(H5Aget_space(attribute.id()), place), H5Sclose);
  if (H5Tget_class(type.id()) != H5T_STRING || H5Tis_variable_str(type.id()) != 0 ||
      H5Sget_simple_extent_type(space.id()) != H5S_SCALAR) {
    throw InputError(place, " is not a text of fixed length");
  }
  const size_t size = H5Tget_size(type.id());
  if (size > kLongestText) throw InputError(place, " is a text of ", size, " bytes");
  std::string out(size, '\0');
  Checked(H5Aread(attribute.id(), type.id(), out.data()), place);
  return out.substr(0, out.find('\0'));
}

int64_t Hdf5Reader::Int(const std::string& name) const {
  const InLibrary in;
  int64_t value = 0;
  ReadScalar(state_->file.id(), name, H5T_STD_I64LE, H5T_NATIVE_INT64, &value, "an i64",
             state_->Place("attribute", name));
  return value;
}

double Hdf5Reader::Number(const std::string& name) const {
  const InLibrary in;
  double value = 0;
  ReadScalar(state_->file.id(), name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, &value, "an f64",
             state_->Place("attribute", name));
  return value;
}

}  // namespace retort
