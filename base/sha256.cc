// SPDX-License-Identifier: Apache-2.0
#include <openssl/sha.h>

#include <array>

#include "base/file.h"

namespace retort {

std::string Sha256(Bytes bytes) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest;
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest.data());
  std::string out;
  for (const unsigned char byte : digest) {
    for (const int shift : {4, 0}) out += "0123456789abcdef"[byte >> shift & 15];
  }
  return out;
}

std::string Sha256(std::string_view text) { return Sha256(std::as_bytes(std::span(text))); }

}  // namespace retort
