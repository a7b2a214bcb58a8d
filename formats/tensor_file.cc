// SPDX-License-Identifier: Apache-2.0
#include "formats/tensor_file.h"

#include <cstring>

#include "base/checked.h"
#include "base/text.h"
#include "tensor/quant/quant.h"

namespace retort {

void TensorTable::Add(TensorEntry entry) {
  if (!index_.emplace(entry.name, entries_.size()).second) {
    throw InputError(where_, ": tensor ", Quoted(entry.name), " occurs twice");
  }
  entries_.push_back(std::move(entry));
}

const TensorEntry* TensorTable::Find(std::string_view name) const {
  const auto it = index_.find(name);
  return it == index_.end() ? nullptr : &entries_[it->second];
}

namespace {

constexpr int64_t kPanel = 16;  // rows that are computed together

// The values of a computed tensor, rounded to its format.
std::shared_ptr<const std::vector<std::byte>> Computed(const TensorEntry& entry, ThreadPool* pool) {
  const int64_t rows = entry.shape[0], cols = entry.shape[1];
  const auto row_bytes = static_cast<size_t>(RowBytes(entry.format, cols));
  auto out = std::make_shared<std::vector<std::byte>>(static_cast<size_t>(rows) * row_bytes);
  const auto compute = [&](int64_t panel, int) {
    const int64_t begin = panel * kPanel, count = std::min(kPanel, rows - begin);
    std::vector<float> values(static_cast<size_t>(count * cols));
    entry.computed->Rows(begin, count, values.data());
    for (int64_t r = 0; r < count; ++r) {
      EncodeRow(entry.format, values.data() + r * cols, cols,
                out->data() + static_cast<size_t>(begin + r) * row_bytes);
    }
  };
  const int64_t panels = (rows + kPanel - 1) / kPanel;
  if (pool) {
    pool->For(panels, compute);
  } else {
    for (int64_t panel = 0; panel < panels; ++panel) compute(panel, 0);
  }
  return out;
}

}  // namespace

Weight TensorTable::Load(std::string_view name, const std::vector<int64_t>& shape,
                         ThreadPool* pool) const {
  RETORT_CHECK(shape.size() >= 1 && shape.size() <= 3, "a weight has 1 to 3 dimensions");
  const TensorEntry* entry = Find(name);
  if (!entry) throw InputError(where_, ": tensor ", Quoted(name), " is missing");
  const std::string place = Cat(entry->file->path().string(), ": tensor ", Quoted(name));
  if (!entry->is_weight()) {
    throw InputError(place, " is of type ", Quoted(entry->other_type),
                     ", which cannot be used as a weight");
  }
  if (entry->shape != shape) {
    throw InputError(place, " has shape ", ShapeText(entry->shape), ", expected ",
                     ShapeText(shape));
  }
  Bytes bytes = entry->bytes;
  std::shared_ptr<const void> owner = entry->file;
  if (entry->computed) {
    const auto values = Computed(*entry, pool);
    bytes = *values;
    owner = values;
  } else if (reinterpret_cast<uintptr_t>(bytes.data()) %
                 static_cast<uintptr_t>(TraitsOf(entry->format).alignment) !=
             0) {
    const auto copy = std::make_shared<std::vector<std::byte>>(bytes.begin(), bytes.end());
    bytes = *copy;
    owner = copy;
  }
  int64_t rows = 1;
  for (size_t i = 0; i + 1 < shape.size(); ++i) rows *= shape[i];
  return Weight(entry->format, rows, shape.back(), bytes, std::move(owner), entry->scales);
}

uint64_t ElementsOf(const std::vector<int64_t>& shape, std::string_view what) {
  uint64_t elements = 1;
  for (int64_t dim : shape) elements = CheckedMul(elements, static_cast<uint64_t>(dim), what);
  return elements;
}

void TensorFileWriter::Declare(std::string name, WeightFormat format, std::vector<int64_t> shape) {
  for (int64_t dim : shape) RETORT_CHECK(dim >= 0, name, ": shape ", ShapeText(shape));
  uint64_t rows = 1;
  for (size_t i = 0; i + 1 < shape.size(); ++i) {
    rows = CheckedMul(rows, static_cast<uint64_t>(shape[i]), name);
  }
  const auto row_bytes = static_cast<uint64_t>(RowBytes(format, shape.empty() ? 1 : shape.back()));
  const uint64_t bytes = CheckedMul(rows, row_bytes, name);
  DeclareSlot({std::move(name), format, std::move(shape), bytes});
}

void TensorFileWriter::DeclareSlot(Slot slot) {
  RETORT_CHECK(!started_, "tensor ", slot.name, " declared after the first byte was written");
  RETORT_CHECK(index_.emplace(slot.name, slots_.size()).second, "tensor ", slot.name,
               " declared twice");
  slots_.push_back(std::move(slot));
  Check(slots_.back());
}

uint64_t TensorFileWriter::PlannedBytes() const {
  std::vector<Slot> slots = slots_;
  return Place(slots).file_bytes;
}

void TensorFileWriter::Write(std::string_view name, Bytes piece) {
  if (!started_) Start();
  const auto it = index_.find(name);
  RETORT_CHECK(it != index_.end(), "tensor ", name, " was not declared");
  Slot& slot = slots_[it->second];
  RETORT_CHECK(piece.size() <= slot.bytes - slot.written, "tensor ", name, ": more than its ",
               slot.bytes, " bytes");
  file_.WriteAt(slot.offset + slot.written, piece);
  slot.written += piece.size();
}

void TensorFileWriter::Commit() {
  if (!started_) Start();
  uint64_t end = file_.size();
  for (const Slot& slot : slots_) {
    RETORT_CHECK(slot.written == slot.bytes, "tensor ", slot.name, ": ", slot.written, " of ",
                 slot.bytes, " bytes written");
    end = std::max(end, slot.offset + slot.bytes);
  }
  // Gaps in the file read as zeros. A gap at the end exists only if its last byte is written.
  constexpr std::byte kZero{};
  if (end < file_bytes_) file_.WriteAt(file_bytes_ - 1, {&kZero, 1});
  file_.Commit();
}

void TensorFileWriter::Start() {
  started_ = true;
  const Layout layout = Place(slots_);
  file_bytes_ = layout.file_bytes;
  file_.Write(layout.head);
}

}  // namespace retort
