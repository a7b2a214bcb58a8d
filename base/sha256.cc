// SPDX-License-Identifier: Apache-2.0
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <memory>

#include "base/error.h"
#include "base/file.h"

namespace retort {
namespace {

constexpr size_t kHashedAtOnce = 4 << 20;

class Sha256Digest {
 public:
  Sha256Digest() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    RETORT_CHECK(context_ && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1);
  }
  void Add(Bytes bytes) {
    RETORT_CHECK(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1);
  }
  std::string Hex() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
    unsigned size = 0;
    RETORT_CHECK(EVP_DigestFinal_ex(context_.get(), digest.data(), &size) == 1);
    std::string out;
    for (unsigned i = 0; i < size; ++i) {
      for (const int shift : {4, 0}) out += "0123456789abcdef"[digest[i] >> shift & 15];
    }
    return out;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

}  // namespace

std::string Sha256(Bytes bytes) {
  Sha256Digest digest;
  digest.Add(bytes);
  return digest.Hex();
}

std::string Sha256(std::string_view text) { return Sha256(std::as_bytes(std::span(text))); }

std::string Sha256OfFile(const Path& path) {
  const auto file = MappedFile::Open(path);
  Sha256Digest digest;
  for (Bytes rest = file->bytes(); !rest.empty();) {
    const Bytes part = rest.first(std::min(rest.size(), kHashedAtOnce));
    digest.Add(part);
    file->Drop(part);
    rest = rest.subspan(part.size());
  }
  return digest.Hex();
}

}  // namespace retort
