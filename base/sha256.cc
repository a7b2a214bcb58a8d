// SPDX-License-Identifier: Apache-2.0
#include "base/sha256.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/hex.h"

namespace retort {
namespace {

constexpr size_t kHashedAtOnce = 4 << 20;

}  // namespace

struct Sha256Sum::State {
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context{EVP_MD_CTX_new(),
                                                                  EVP_MD_CTX_free};
};

Sha256Sum::Sha256Sum() : state_(std::make_unique<State>()) {
  RETORT_CHECK(state_->context &&
               EVP_DigestInit_ex(state_->context.get(), EVP_sha256(), nullptr) == 1);
}

Sha256Sum::~Sha256Sum() = default;

void Sha256Sum::Add(Bytes bytes) {
  RETORT_CHECK(EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()) == 1);
}

std::string Sha256Sum::Digest() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  RETORT_CHECK(EVP_DigestFinal_ex(state_->context.get(), digest.data(), &size) == 1);
  return {digest.begin(), digest.begin() + size};
}

std::string Sha256Sum::Hex() { return HexText(Digest()); }

std::string Sha256(Bytes bytes) {
  Sha256Sum sum;
  sum.Add(bytes);
  return sum.Hex();
}

std::string Sha256(std::string_view text) { return Sha256(std::as_bytes(std::span(text))); }

std::string Sha256OfDigests(const std::vector<std::string>& digests) {
  return Sha256(Join(digests, "\n"));
}

std::string Sha256OfTree(uint64_t bytes, ThreadPool& pool,
                         const std::function<std::string(uint64_t, uint64_t)>& digest) {
  std::vector<std::string> digests((bytes + kTreePiece - 1) / kTreePiece);
  pool.For(std::ssize(digests), [&](int64_t i, int) {
    const uint64_t begin = static_cast<uint64_t>(i) * kTreePiece;
    digests[static_cast<size_t>(i)] = digest(begin, std::min(kTreePiece, bytes - begin));
  });
  return Sha256OfDigests(digests);
}

std::string Sha256OfFile(const Path& path) {
  const auto file = MappedFile::Open(path);
  Sha256Sum sum;
  for (Bytes rest = file->bytes(); !rest.empty();) {
    const Bytes part = rest.first(std::min(rest.size(), kHashedAtOnce));
    sum.Add(part);
    file->Drop(part);
    rest = rest.subspan(part.size());
  }
  return sum.Hex();
}

}  // namespace retort
