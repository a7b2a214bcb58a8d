// SPDX-License-Identifier: Apache-2.0
// A frozen weight as a device wants it: where and how it lies, and in what arithmetic its products
// are computed. Device::Prepare makes it of a Weight; only that device's kernels can read it. All
// numeric policy is here and in the device, none above tensor/: a caller says what a weight is for.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "base/error.h"

namespace retort {

// What the products of activations with weights are computed in. kAuto chooses for each weight: f32
// for f32; int8 for block formats (Q8_0, Q4_0) that a runner uses; else bf16 where that is faster
// (CpuPrefersBf16), else f32. kInt8 quantises activations in blocks of 32 for block formats; other
// formats then compute as with kAuto, f32 as the others.
enum class Compute : uint8_t { kF32, kBF16, kInt8, kAuto };
std::string_view NameOf(Compute compute);
// "auto", "f32", "bf16" or "int8". Throws Error{kInput} naming these.
Compute ComputeNamed(std::string_view name);

struct WeightUse {
  // A runner's products may quantise activations. A table's rows are looked up, few of them.
  enum class Purpose : uint8_t { kTraining, kRunning, kTable };
  Purpose purpose = Purpose::kTraining;
  // Errors of this product weigh more than others': queries and keys (scores grow with both, and
  // softmax with scores), the first layer, the head. In int8, x then has 15 bits, for twice the
  // work.
  bool sensitive = false;
  // Used for many tokens, so that a copy in the layout that products read fastest pays. Else a
  // device that reads host memory uses the weight where it lies.
  bool lasting = false;
};

class PreparedWeight {
 public:
  // What a device keeps.
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
  // What forward products are computed in: for reports.
  Compute compute() const { return compute_; }
  // The device's own. Throws Error{kBug} when another device prepared it.
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
