// SPDX-License-Identifier: Apache-2.0
// Pinned host memory for copies under way, in pieces that are used again once the queue has passed
// them: pinning memory takes longer than most copies.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "tensor/cuda/driver.h"

namespace retort::cuda {

class Staging {
 public:
  class Piece {
   public:
    explicit Piece(int64_t bytes);
    ~Piece();
    Piece(const Piece&) = delete;
    Piece& operator=(const Piece&) = delete;
    std::byte* data() const { return data_; }
    int64_t bytes() const { return bytes_; }

    std::unique_ptr<Marker> copied;  // after its copy; empty: no copy is under way

   private:
    std::byte* data_;
    int64_t bytes_;
  };

  // A piece of at least this size that no copy uses. Waits for the queue only when much is under
  // way.
  std::unique_ptr<Piece> Take(int64_t bytes);
  // Takes it back; its copy may be under way.
  void Return(std::unique_ptr<Piece> piece);

 private:
  std::vector<std::unique_ptr<Piece>> pieces_;  // the first was returned first
  int64_t bytes_ = 0;                           // of all, also those taken
};

}  // namespace retort::cuda
