// SPDX-License-Identifier: Apache-2.0
// SHA-256 of bytes that come one part after the other. Of bytes at hand: base/file.h.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/threads.h"

namespace retort {

class Sha256Sum {
 public:
  Sha256Sum();
  ~Sha256Sum();
  Sha256Sum(const Sha256Sum&) = delete;
  Sha256Sum& operator=(const Sha256Sum&) = delete;

  void Add(Bytes bytes);
  // These end the sum: 32 bytes, or 64 hexadecimal digits.
  std::string Digest();
  std::string Hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Of many bytes: the SHA-256 of the digests of their pieces, which are hashed in parallel.
inline constexpr uint64_t kTreePiece = uint64_t{4} << 20;
std::string Sha256OfDigests(const std::vector<std::string>& digests);
// digest(begin, size): of that piece.
std::string Sha256OfTree(uint64_t bytes, ThreadPool& pool,
                         const std::function<std::string(uint64_t begin, uint64_t size)>& digest);

}  // namespace retort
