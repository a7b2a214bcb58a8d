// SPDX-License-Identifier: Apache-2.0
// Seals: they show that bytes were written by this user's Retort on this machine, which a checksum
// cannot, since whoever makes a file makes its checksum too. A seal is an HMAC-SHA256 (RFC 2104)
// under a secret of 32 random bytes. The secret is made on first need and never leaves its file,
// $XDG_STATE_HOME/retort/secret, or ~/.local/state/retort/secret without that variable.
#pragma once

#include <string>
#include <string_view>

#include "base/file.h"

namespace retort {

// Makes the secret if there is none yet. Call it before long work that ends in a seal. All three
// functions throw one error with a way out: Error{kInput} when the secret is not a regular file of
// 32 bytes that belongs to this user and that nobody else may read or write, Error{kFailure} when
// it cannot be made or read.
void RequireSecret();

// The seal of these bytes as 64 hexadecimal digits. A seal for one purpose holds for no other.
std::string Seal(std::string_view purpose, Bytes bytes);
// Whether `seal` is the seal of these bytes. Any text may be given.
bool SealHolds(std::string_view purpose, Bytes bytes, std::string_view seal);

}  // namespace retort
