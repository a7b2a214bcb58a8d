// SPDX-License-Identifier: Apache-2.0
#include <hdf5.h>

#include <algorithm>
#include <map>

#include "base/checked.h"
#include "formats/hdf5_handles.h"

namespace retort {

using hdf5::Checked;
using hdf5::Handle;
using hdf5::InLibrary;

struct Hdf5Reader::State {
  // What reading rows needs to know of a dataset. It stays open: rows are read block by block, and opening costs
  // more than a small block does.
  struct Rows {
    Handle dataset, space;
    Hdf5Type type;  // that it was checked to have
    std::vector<int64_t> shape;
  };
  Path path;
  Handle file;
  std::map<std::string, Rows> rows;

  ~State() {
    const InLibrary in;
    rows.clear();
    file.Release();
  }

  std::string Place(std::string_view what, std::string_view name) const {
    return Cat(path.string(), ": ", what, " '", name, "'");
  }
};

namespace {

// H5Lexists asks for one link at a time: every group on the way must be there.
bool Exists(hid_t file, const std::string& name) {
  for (size_t end = name.find('/');; end = name.find('/', end + 1)) {
    if (H5Lexists(file, name.substr(0, end).c_str(), H5P_DEFAULT) <= 0) return false;
    if (end == std::string::npos) return true;
  }
}

Handle OpenDataset(hid_t file, const std::string& name, const std::string& place,
                   hid_t access = H5P_DEFAULT) {
  if (!Exists(file, name)) throw InputError(place, " is missing");
  return {Checked(H5Dopen2(file, name.c_str(), access), place), H5Dclose};
}

std::vector<int64_t> Dims(hid_t space, const std::string& place) {
  const int rank = Checked(H5Sget_simple_extent_ndims(space), place);
  std::vector<hsize_t> dims(static_cast<size_t>(rank));
  Checked(H5Sget_simple_extent_dims(space, dims.data(), nullptr), place);
  return {dims.begin(), dims.end()};
}

std::vector<int64_t> ShapeOfDataset(const Handle& dataset, const std::string& place) {
  const Handle space(Checked(H5Dget_space(dataset.id()), place), H5Sclose);
  return Dims(space.id(), place);
}

std::string TypeTextOf(hid_t type) {
  using enum Hdf5Type;
  for (Hdf5Type t : {kF32, kF64, kI32, kI64, kU8, kU16}) {
    if (H5Tequal(type, hdf5::FileType(t)) > 0) return std::string(NameOf(t));
  }
  return "other";
}

void CheckType(const Handle& dataset, Hdf5Type want, const std::string& place) {
  const Handle type(Checked(H5Dget_type(dataset.id()), place), H5Tclose);
  if (H5Tequal(type.id(), hdf5::FileType(want)) <= 0) {
    throw InputError(place, " holds ", TypeTextOf(type.id()), ", expected ", NameOf(want));
  }
}

Handle OpenAttribute(hid_t file, const std::string& name, const std::string& place) {
  if (H5Aexists(file, name.c_str()) <= 0) throw InputError(place, " is missing");
  return {Checked(H5Aopen(file, name.c_str(), H5P_DEFAULT), place), H5Aclose};
}

// Without the library's cache of chunks, a megabyte for each open dataset: a block is read once.
Handle UncachedAccess(const std::string& place) {
  Handle access(Checked(H5Pcreate(H5P_DATASET_ACCESS), place), H5Pclose);
  Checked(H5Pset_chunk_cache(access.id(), 1, 0, 1), place);
  return access;
}

// Reads a scalar attribute whose type in the file is `file_type`.
void ReadScalar(hid_t file, const std::string& name, hid_t file_type, hid_t memory_type,
                void* out, std::string_view want, const std::string& place) {
  const Handle attribute = OpenAttribute(file, name, place);
  const Handle type(Checked(H5Aget_type(attribute.id()), place), H5Tclose);
  const Handle space(Checked(H5Aget_space(attribute.id()), place), H5Sclose);
  if (H5Tequal(type.id(), file_type) <= 0 || H5Sget_simple_extent_type(space.id()) != H5S_SCALAR) {
    throw InputError(place, " is not ", want);
  }
  Checked(H5Aread(attribute.id(), memory_type, out), place);
}

}  // namespace

Hdf5Reader Hdf5Reader::OpenChecked(const Path& path, std::string_view sha256_hex,
                                   std::string_view mend) {
  const std::string have = Sha256(MappedFile::Open(path)->bytes());
  if (have != sha256_hex) {
    throw InputError(path.string(), ": checksum is ", have, ", expected ",
                     sha256_hex.substr(0, 64), "; the file was changed or damaged",
                     mend.empty() ? "" : "; ", mend);
  }
  const InLibrary in;
  const std::string place = path.string();
  // No code is loaded at a file's wish: filters come with the library or not at all.
  Checked(H5PLset_loading_state(0), place);
  auto state = std::make_unique<State>();
  state->path = path;
  state->file = {Checked(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), place), H5Fclose};
  return Hdf5Reader(std::move(state));
}

Hdf5Reader::Hdf5Reader(std::unique_ptr<State> state) : state_(std::move(state)) {}
Hdf5Reader::~Hdf5Reader() = default;
Hdf5Reader::Hdf5Reader(Hdf5Reader&&) noexcept = default;
Hdf5Reader& Hdf5Reader::operator=(Hdf5Reader&&) noexcept = default;

bool Hdf5Reader::Has(const std::string& name) const {
  const InLibrary in;
  return Exists(state_->file.id(), name);
}

std::vector<int64_t> Hdf5Reader::ShapeOf(const std::string& name) const {
  const InLibrary in;
  const std::string place = state_->Place("dataset", name);
  return ShapeOfDataset(OpenDataset(state_->file.id(), name, place), place);
}

int64_t Hdf5Reader::ChunkRows(const std::string& name) const {
  const InLibrary in;
  const std::string place = state_->Place("dataset", name);
  const Handle dataset = OpenDataset(state_->file.id(), name, place);
  const Handle creation(Checked(H5Dget_create_plist(dataset.id()), place), H5Pclose);
  if (Checked(H5Pget_layout(creation.id()), place) != H5D_CHUNKED) return 0;
  const std::vector<int64_t> shape = ShapeOfDataset(dataset, place);
  std::vector<hsize_t> chunk(shape.size());
  Checked(H5Pget_chunk(creation.id(), static_cast<int>(chunk.size()), chunk.data()), place);
  for (size_t i = 1; i < chunk.size(); ++i) {
    if (static_cast<int64_t>(chunk[i]) != shape[i]) {
      throw InputError(place, " is cut within its rows, expected chunks of whole rows");
    }
  }
  return static_cast<int64_t>(chunk[0]);
}

std::vector<Hdf5Reader::Dataset> Hdf5Reader::Datasets() const {
  const InLibrary in;
  std::vector<std::string> names;
  // Called by C code, which no exception may cross: a failed push is reported by its status.
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
    out.push_back({name, TypeTextOf(type.id()), ShapeOfDataset(dataset, place),
                   static_cast<int64_t>(H5Dget_storage_size(dataset.id()))});
  }
  return out;
}

void Hdf5Reader::ReadRaw(const std::string& name, const std::vector<int64_t>& shape, Hdf5Type type,
                         std::span<std::byte> out) const {
  const InLibrary in;
  const std::string place = state_->Place("dataset", name);
  const Handle dataset = OpenDataset(state_->file.id(), name, place);
  CheckType(dataset, type, place);
  const std::vector<int64_t> have = ShapeOfDataset(dataset, place);
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

void Hdf5Reader::ReadRowsRaw(const std::string& name, int64_t begin, int64_t count, int64_t columns,
                             Hdf5Type type, std::span<std::byte> out) const {
  const InLibrary in;
  const std::string place = state_->Place("dataset", name);
  RETORT_CHECK(begin >= 0 && count >= 0 && columns > 0 &&
                   static_cast<uint64_t>(count) * static_cast<uint64_t>(columns) *
                           hdf5::BytesOf(type) == out.size(),
               place, ": rows from ", begin, ", ", count, " of them");
  auto found = state_->rows.find(name);
  if (found == state_->rows.end() || found->second.type != type) {
    State::Rows rows{OpenDataset(state_->file.id(), name, place, UncachedAccess(place).id()), {}, type, {}};
    CheckType(rows.dataset, type, place);
    rows.space = {Checked(H5Dget_space(rows.dataset.id()), place), H5Sclose};
    rows.shape = Dims(rows.space.id(), place);
    found = state_->rows.insert_or_assign(name, std::move(rows)).first;
  }
  const auto& [dataset, space, checked_type, shape] = found->second;
  const bool fits = shape.size() == 2 ? shape[1] == columns : shape.size() == 1 && columns == 1;
  if (!fits) {
    throw InputError(place, " has shape ", ShapeText(shape), ", expected ", columns, " columns");
  }
  if (count > shape[0] || begin > shape[0] - count) {
    throw InputError(place, " has ", shape[0], " rows, asked for ", begin, " to ", begin + count);
  }
  if (count == 0) return;
  std::vector<hsize_t> start(shape.size(), 0), extent(shape.begin(), shape.end());
  start[0] = static_cast<hsize_t>(begin);
  extent[0] = static_cast<hsize_t>(count);
  Checked(H5Sselect_hyperslab(space.id(), H5S_SELECT_SET, start.data(), nullptr, extent.data(),
                              nullptr), place);
  const Handle memory(Checked(H5Screate_simple(static_cast<int>(extent.size()), extent.data(),
                                               nullptr), place), H5Sclose);
  Checked(H5Dread(dataset.id(), hdf5::MemoryType(type), memory.id(), space.id(), H5P_DEFAULT,
                  out.data()), place);
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
  std::string out(H5Tget_size(type.id()), '\0');
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
