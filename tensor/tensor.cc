// SPDX-License-Identifier: Apache-2.0
#include "tensor/tensor.h"

#include "base/strings.h"

namespace retort {

Shape::Shape(std::initializer_list<int64_t> dims) : rank_(static_cast<int>(dims.size())) {
  RETORT_CHECK(dims.size() <= dims_.size());
  size_t i = 0;
  for (int64_t d : dims) dims_[i++] = d;
}

int64_t Shape::elements() const {
  int64_t n = 1;
  for (int i = 0; i < rank_; ++i) n *= (*this)[i];
  return n;
}

bool Shape::operator==(const Shape& other) const {
  return rank_ == other.rank_ && dims_ == other.dims_;
}

std::string Shape::text() const {
  return ShapeText(std::vector<int64_t>(dims_.begin(), dims_.begin() + rank_));
}

Tensor::Tensor(std::shared_ptr<Buffer> buffer, Shape shape, DType type, int64_t byte_offset)
    : buffer_(std::move(buffer)), offset_(byte_offset), shape_(shape), type_(type) {
  RETORT_CHECK(buffer_ && offset_ + bytes() <= buffer_->bytes(), "shape ", shape_.text());
}

Tensor Tensor::Make(Memory& memory, Shape shape, DType type) {
  return Tensor(memory.Allocate(shape.elements() * SizeOf(type)), shape, type);
}

Tensor Tensor::Reshaped(Shape shape) const {
  RETORT_CHECK(shape.elements() == elements(), shape_.text(), " as ", shape.text());
  return Tensor(buffer_, shape, type_, offset_);
}

Tensor Tensor::Part(int64_t begin, int64_t count) const {
  return Reshaped({elements(), 1}).RowRange(begin, count).Reshaped({count});
}

Tensor Tensor::RowRange(int64_t begin, int64_t count) const {
  RETORT_CHECK(begin >= 0 && count >= 0 && begin + count <= rows(), "rows ", begin, " + ", count,
               " of ", rows());
  return Tensor(buffer_, {count, cols()}, type_, offset_ + begin * cols() * SizeOf(type_));
}

}  // namespace retort
