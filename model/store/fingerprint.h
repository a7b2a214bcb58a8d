// SPDX-License-Identifier: Apache-2.0
// The identity of a model's weights: a hash of all their bytes.
#pragma once

#include <string>

#include "model/model_files.h"

namespace retort {

// "sha256-tree:" and 64 hexadecimal digits: the SHA-256 of a line for each tensor, ordered by name:
// its name, shape, type and the SHA-256 of each 4 MiB of its bytes. The number of shards and the
// order of the tensors do not matter. threads: of the hashing; 0: all.
std::string Fingerprint(const ModelFiles& files, int threads = 0);

// Whether `recorded` is this model's fingerprint, by the rule that it was made with: older records
// are 64 digits, made of the first 4,096 bytes of each tensor.
bool HasFingerprint(const ModelFiles& files, const std::string& recorded, int threads = 0);

// The fingerprint by the older rule.
std::string OldFingerprint(const ModelFiles& files);

// The fingerprint of the model that a GGUF was exported from, as the file states it; "" if unknown.
std::string SourceFingerprint(const ModelFiles& files);
inline constexpr const char* kSourceFingerprintKey = "retort.source_fingerprint";

// A hash of what a model computes with its weights: ropes, norms, windows, caps, activations, sizes
// and experts; not its ends, its longest text or its family's name. "a1:" and 64 digits. Two hashes
// with other beginnings were made by other rules and tell nothing.
std::string ArchitectureHash(const Architecture& architecture);
// False only if both hashes are of one rule and differ.
bool MayBeSameArchitecture(const std::string& a, const std::string& b);

// Lets this process remember the fingerprints of large models in files of this folder, which is
// created when needed. A record holds as long as the model's files keep their paths, sizes, inodes
// and times. A folder that another user owns or may write to is not used.
void UseFingerprintCache(const Path& folder);

}  // namespace retort
