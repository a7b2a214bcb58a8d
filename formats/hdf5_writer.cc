// SPDX-License-Identifier: Apache-2.0
#include <hdf5.h>

#include <algorithm>
#include <optional>

#include "base/seal.h"
#include "formats/hdf5_image.h"

namespace retort {

using hdf5::Checked;
using hdf5::Handle;
using hdf5::InLibrary;

struct Hdf5Writer::State {
  Path target;
  std::optional<hdf5::NewImage> image;

  int64_t file() const { return image->id(); }
  ~State() {
    const InLibrary in;
    image.reset();
  }

  std::string Place(std::string_view what, std::string_view name) const {
    return Cat(target.string(), ": ", what, " '", name, "'");
  }
};

namespace {

Handle ScalarSpace() { return {H5Screate(H5S_SCALAR), H5Sclose}; }

void WriteAttribute(hid_t file, const std::string& name, hid_t file_type, hid_t memory_type,
                    const void* value, const std::string& place) {
  const Handle space = ScalarSpace();
  const Handle attribute(
      Checked(H5Acreate2(file, name.c_str(), file_type, space.id(), H5P_DEFAULT, H5P_DEFAULT),
              place),
      H5Aclose);
  Checked(H5Awrite(attribute.id(), memory_type, value), place);
}

// Creation properties of a dataset: no timestamps, chunks if requested.
Handle CreationProperties(const std::vector<hsize_t>& dims, Hdf5Storage storage,
                          const std::string& place) {
  Handle properties(Checked(H5Pcreate(H5P_DATASET_CREATE), place), H5Pclose);
  Checked(H5Pset_obj_track_times(properties.id(), false), place);
  if (storage.chunk_rows == 0 || dims[0] == 0) return properties;
  std::vector<hsize_t> chunk = dims;
  chunk[0] = std::min(dims[0], static_cast<hsize_t>(storage.chunk_rows));
  Checked(H5Pset_chunk(properties.id(), static_cast<int>(chunk.size()), chunk.data()), place);
  if (storage.gzip > 0) {
    Checked(H5Pset_shuffle(properties.id()), place);
    Checked(H5Pset_deflate(properties.id(), static_cast<unsigned>(storage.gzip)), place);
  }
  return properties;
}

}  // namespace

Hdf5Writer::Hdf5Writer(const Path& target) : state_(std::make_unique<State>()) {
  const InLibrary in;
  state_->target = target;
  state_->image.emplace(target.string());
}

Hdf5Writer::~Hdf5Writer() = default;

void Hdf5Writer::WriteRaw(const std::string& name, const std::vector<int64_t>& shape, Hdf5Type type,
                          Bytes bytes, Hdf5Storage storage) {
  const InLibrary in;
  const std::string place = state_->Place("dataset", name);
  RETORT_CHECK(shape.size() == 1 || shape.size() == 2, place, ": shape ", ShapeText(shape));
  RETORT_CHECK(storage.gzip == 0 || storage.chunk_rows > 0, place, ": gzip needs chunks");
  uint64_t elements = 1;
  for (int64_t dim : shape) elements *= static_cast<uint64_t>(dim);
  RETORT_CHECK(elements * hdf5::BytesOf(type) == bytes.size(), place, ": shape ", ShapeText(shape),
               " of ", NameOf(type), " and ", bytes.size(), " bytes of values");
  const std::vector<hsize_t> dims(shape.begin(), shape.end());
  const Handle space(
      Checked(H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr), place),
      H5Sclose);
  const Handle link(Checked(H5Pcreate(H5P_LINK_CREATE), place), H5Pclose);
  Checked(H5Pset_create_intermediate_group(link.id(), 1), place);
  RETORT_CHECK(!name.empty() && name.front() != '/', place, ": bad name");
  const Handle creation = CreationProperties(dims, storage, place);
  const Handle dataset(Checked(H5Dcreate2(state_->file(), name.c_str(), hdf5::FileType(type),
                                          space.id(), link.id(), creation.id(), H5P_DEFAULT),
                               place),
                       H5Dclose);
  if (elements == 0) return;
  Checked(
      H5Dwrite(dataset.id(), hdf5::MemoryType(type), H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes.data()),
      place);
}

void Hdf5Writer::SetText(const std::string& name, std::string_view text) {
  const InLibrary in;
  const std::string place = state_->Place("attribute", name);
  RETORT_CHECK(text.size() <= 60'000 && text.find('\0') == std::string_view::npos, place);
  // A NUL-padded string of its own length plus one: a length of 0 is not allowed.
  const std::string value(text);
  const Handle type(Checked(H5Tcopy(H5T_C_S1), place), H5Tclose);
  Checked(H5Tset_size(type.id(), value.size() + 1), place);
  Checked(H5Tset_cset(type.id(), H5T_CSET_UTF8), place);
  WriteAttribute(state_->file(), name, type.id(), type.id(), value.c_str(), place);
}

void Hdf5Writer::SetInt(const std::string& name, int64_t value) {
  const InLibrary in;
  WriteAttribute(state_->file(), name, H5T_STD_I64LE, H5T_NATIVE_INT64, &value,
                 state_->Place("attribute", name));
}

void Hdf5Writer::SetNumber(const std::string& name, double value) {
  const InLibrary in;
  WriteAttribute(state_->file(), name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, &value,
                 state_->Place("attribute", name));
}

Hdf5Stamp Hdf5Writer::Commit(const Before& before) {
  const InLibrary in;
  const Bytes bytes = state_->image->Close(state_->target.string());
  // The seal is of the bytes in memory, not of what lies in the file by now.
  Hdf5Stamp stamp{Sha256(bytes), Seal(hdf5::kSealPurpose, bytes),
                  static_cast<int64_t>(bytes.size())};
  if (before) before(stamp);
  AtomicFile file(state_->target);
  file.Write(bytes);
  file.Commit();
  return stamp;
}

}  // namespace retort
