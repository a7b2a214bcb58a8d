// SPDX-License-Identifier: Apache-2.0
#include "tensor/cuda/staging.h"

#include <algorithm>
#include <bit>

namespace retort::cuda {
namespace {

constexpr int64_t kLeastBytes = int64_t{64} << 10;
constexpr int64_t kManyBytes = int64_t{64} << 20;  // beyond this, pieces are waited for

}  // namespace

Staging::Piece::Piece(int64_t bytes)
    : data_(static_cast<std::byte*>(AllocatePinned(bytes))), bytes_(bytes) {}
Staging::Piece::~Piece() { FreePinned(data_); }

std::unique_ptr<Staging::Piece> Staging::Take(int64_t bytes) {
  const auto large = [bytes](const auto& piece) { return piece->bytes() >= bytes; };
  auto found = std::ranges::find_if(pieces_, [&](const auto& piece) {
    return large(piece) && (!piece->copied || piece->copied->Passed());
  });
  if (found == pieces_.end() && bytes_ > kManyBytes) {
    found = std::ranges::find_if(pieces_, large);
    if (found != pieces_.end()) (*found)->copied->Wait();
  }
  if (found == pieces_.end()) {
    const auto size = std::bit_ceil(static_cast<uint64_t>(std::max(bytes, kLeastBytes)));
    auto piece = std::make_unique<Piece>(static_cast<int64_t>(size));
    bytes_ += piece->bytes();
    return piece;
  }
  std::unique_ptr<Piece> piece = std::move(*found);
  pieces_.erase(found);
  piece->copied.reset();
  return piece;
}

void Staging::Return(std::unique_ptr<Piece> piece) { pieces_.push_back(std::move(piece)); }

}  // namespace retort::cuda
