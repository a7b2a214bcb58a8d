// SPDX-License-Identifier: Apache-2.0
// A frozen weight prepared for a device: its place, its layout, and the arithmetic of its products.
// Device::Prepare makes it from a Weight; only that device's kernels can read it. All numeric
// policy is here and in the devices, none above tensor/: callers only state what a weight is used
// for.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "base/error.h"

namespace retort {

// The arithmetic of products of activations with weights. kAuto chooses for each weight: f32 for
// f32 weights; int8 for block formats (Q8_0, Q4_0) used by a runner; else bf16 where that is faster
// (CpuPrefersBf16), else f32. kInt8 quantises activations in blocks of 32 for block formats; all
// other formats, f32 included, use bf16 where that is faster, else f32.
enum class Compute : uint8_t { kF32, kBF16, kInt8, kAuto };
std::string_view NameOf(Compute compute);
// "auto", "f32", "bf16" or "int8". Throws Error{kInput} that lists these names.
Compute ComputeNamed(std::string_view name);

struct WeightUse {
  // kRunning: products may quantise activations. kTable: a few rows are looked up, no products.
  enum class Purpose : uint8_t { kTraining, kRunning, kTable };
  Purpose purpose = Purpose::kTraining;
  // Errors of this product matter more than those of others: queries and keys (scores are linear in
  // both, and softmax is exponential in scores), the first layer, the head. In int8, x is then
  // quantised to 15 bits, at twice the cost.
  bool sensitive = false;
  // The weight is used for many tokens, so that copying it to the fastest layout pays off.
  // Otherwise a device that reads host memory uses the weight in place.
  bool lasting = false;
};

class PreparedWeight {
 public:
  // Base class of a device's representation.
  class Data {
   public:
    virtual ~Data() = default;
  };

  PreparedWeight() = default;
  PreparedWeight(int64_t rows, int64_t cols, int64_t bytes, Compute compute,
                 std::shared_ptr<const Data> data)
      : rows_(rows), cols_(cols), bytes_(bytes), compute_(compute), data_(std::move(data)) {}

  bool empty() const { return data_ == nullptr; }
  int64_t rows() const { return rows_; }  // outputs
  int64_t cols() const { return cols_; }  // inputs
  int64_t bytes() const { return bytes_; }
  // The arithmetic of forward products, for reports.
  Compute compute() const { return compute_; }
  // The device's representation. Throws Error{kBug} when another device prepared the weight.
  template <class T>
  const T& as() const {
    const T* own = dynamic_cast<const T*>(data_.get());
    RETORT_CHECK(own, "a weight that another device prepared, or none");
    return *own;
  }
  const std::shared_ptr<const Data>& data() const { return data_; }

 private:
  int64_t rows_ = 0, cols_ = 0, bytes_ = 0;
  Compute compute_ = Compute::kF32;
  std::shared_ptr<const Data> data_;
};

}  // namespace retort
