// SPDX-License-Identifier: Apache-2.0
// Reading and unpacking chunks. HDF5's "deflate" is a zlib stream (RFC 1950). Its "shuffle" stores
// the first bytes of all elements, then the second bytes of all elements, and so on.
#include <hdf5.h>
#include <libdeflate.h>

#include "base/checked.h"
#include "formats/hdf5_dataset.h"

namespace retort {

using hdf5::Checked;
using hdf5::ChunkedDataset;
using hdf5::Handle;

namespace {

// Deflate makes at most 1032 bytes of one (zlib's technical notes). A larger chunk is refused
// before memory is taken for it.
constexpr uint64_t kMostPacked = 1100;

ChunkedDataset OpenChunked(int64_t file, const std::string& name, Hdf5Type type,
                           const std::string& place) {
  ChunkedDataset out{hdf5::OpenDataset(file, name, place), type, {}, 0, -1, -1};
  hdf5::CheckType(out.dataset, type, place);
  out.shape = hdf5::ShapeOf(out.dataset, place);
  out.chunk_rows = hdf5::ChunkRowsOf(out.dataset, place);
  if (out.chunk_rows == 0) throw InputError(place, " is in one piece, expected chunks of rows");
  const Handle creation(Checked(H5Dget_create_plist(out.dataset.id()), place), H5Pclose);
  const int filters = Checked(H5Pget_nfilters(creation.id()), place);
  for (int i = 0; i < filters; ++i) {
    unsigned flags = 0, config = 0;
    size_t values = 0;
    const int filter = Checked(H5Pget_filter2(creation.id(), static_cast<unsigned>(i), &flags,
                                              &values, nullptr, 0, nullptr, &config),
                               place);
    if (filter == H5Z_FILTER_SHUFFLE && i == 0)
      out.shuffle = i;
    else if (filter == H5Z_FILTER_DEFLATE && out.deflate < 0)
      out.deflate = i;
    else
      throw InputError(place, " has filter ", filter, ", expected shuffle and then deflate");
  }
  return out;
}

// out[i].byte b = in[b * n + i].
template <size_t kBytes>
void UnshuffleElements(const std::byte* in, size_t n, std::byte* out) {
  for (size_t i = 0; i < n; ++i) {
    for (size_t b = 0; b < kBytes; ++b) out[i * kBytes + b] = in[b * n + i];
  }
}

void Unshuffle(std::span<const std::byte> in, size_t element_bytes, std::span<std::byte> out) {
  const size_t n = out.size() / element_bytes;
  switch (element_bytes) {
    case 1:
      return UnshuffleElements<1>(in.data(), n, out.data());
    case 2:
      return UnshuffleElements<2>(in.data(), n, out.data());
    case 4:
      return UnshuffleElements<4>(in.data(), n, out.data());
    case 8:
      return UnshuffleElements<8>(in.data(), n, out.data());
  }
  RETORT_CHECK(false, "elements of ", element_bytes, " bytes");
}

void Inflate(const Hdf5Chunk& chunk, std::span<std::byte> out) {
  using Free = decltype(&libdeflate_free_decompressor);
  thread_local const std::unique_ptr<libdeflate_decompressor, Free> inflater(
      libdeflate_alloc_decompressor(), libdeflate_free_decompressor);
  if (!inflater) throw Failure(chunk.place, ": no memory to decompress with");
  const auto result = libdeflate_zlib_decompress(
      inflater.get(), chunk.stored.data(), chunk.stored.size(), out.data(), out.size(), nullptr);
  if (result != LIBDEFLATE_SUCCESS) {
    throw InputError(chunk.place, ": a chunk does not decompress to ", out.size(), " bytes");
  }
}

}  // namespace

Hdf5Chunk Hdf5Reader::ReadChunkRaw(const std::string& name, int64_t index, int64_t columns,
                                   Hdf5Type type) const {
  const hdf5::InLibrary in;
  Hdf5Chunk out{.place = state_->Place("dataset", name), .element_bytes = hdf5::BytesOf(type)};
  auto found = state_->chunked.find(name);
  if (found == state_->chunked.end() || found->second.type != type) {
    found = state_->chunked
                .insert_or_assign(name, OpenChunked(state_->file.id(), name, type, out.place))
                .first;
  }
  const ChunkedDataset& d = found->second;
  const bool fits =
      d.shape.size() == 2 ? d.shape[1] == columns : d.shape.size() == 1 && columns == 1;
  if (!fits) {
    throw InputError(out.place, " has shape ", ShapeText(d.shape), ", expected ", columns,
                     " columns");
  }
  if (index < 0 || index > (d.shape[0] - 1) / d.chunk_rows) {
    throw InputError(out.place, " has ", d.shape[0], " rows in chunks of ", d.chunk_rows,
                     ", asked for chunk ", index);
  }
  out.bytes = CheckedMul(
      CheckedMul(static_cast<uint64_t>(d.chunk_rows), static_cast<uint64_t>(columns), out.place),
      out.element_bytes, out.place);
  const std::vector<hsize_t> at = {static_cast<hsize_t>(index * d.chunk_rows), 0};
  // Does not use H5Dget_chunk_info_by_coord and the mapped file: HDF5 1.10 searches all chunks for
  // that.
  hsize_t stored = 0;
  Checked(H5Dget_chunk_storage_size(d.dataset.id(), at.data(), &stored), out.place);
  if (stored > state_->held->bytes().size() || out.bytes / kMostPacked > stored) {
    throw InputError(out.place, ": chunk ", index, " claims ", uint64_t{stored}, " bytes for ",
                     out.bytes, ", the file has ", state_->held->bytes().size());
  }
  out.stored.resize(stored);
  uint32_t skipped = 0;  // one bit for each filter that was not applied to this chunk
  if (stored > 0)
    Checked(H5Dread_chunk(d.dataset.id(), H5P_DEFAULT, at.data(), &skipped, out.stored.data()),
            out.place);
  out.shuffled = d.shuffle >= 0 && !(skipped >> d.shuffle & 1);
  out.deflated = d.deflate >= 0 && !(skipped >> d.deflate & 1);
  return out;
}

void Hdf5Reader::UnpackRaw(const Hdf5Chunk& chunk, std::span<std::byte> out) {
  RETORT_CHECK(out.size() == chunk.bytes, chunk.place, ": ", out.size(), " bytes of room for ",
               chunk.bytes);
  if (!chunk.deflated && chunk.stored.size() != chunk.bytes) {
    throw InputError(chunk.place, ": a chunk holds ", chunk.stored.size(), " bytes, expected ",
                     chunk.bytes);
  }
  if (chunk.deflated && !chunk.shuffled) return Inflate(chunk, out);
  std::vector<std::byte> inflated(chunk.deflated ? chunk.bytes : 0);
  if (chunk.deflated) Inflate(chunk, inflated);
  const Bytes plain = chunk.deflated ? Bytes(inflated) : Bytes(chunk.stored);
  Unshuffle(plain, chunk.shuffled ? chunk.element_bytes : 1, out);
}

}  // namespace retort
