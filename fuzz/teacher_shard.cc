// SPDX-License-Identifier: Apache-2.0
// A shard of a teacher's cache (HDF5) from a stranger, who can make every checksum but no seal: it
// must be refused before the library sees a byte. formats/hdf5_child.h reads such a file in a
// process of its own.
#include "base/error.h"
#include "data/teacher_files.h"
#include "fuzz/support.h"

namespace retort {
namespace {

// As fuzz/make_seeds.cc writes it.
constexpr int64_t kVocab = 300, kTopK = 4, kExamples = 6, kTokens = 40;

void Use(const Path& path, std::string_view bytes, const std::string& seal) {
  TeacherShard shard;
  shard.stamp.sha256 = Sha256(bytes);
  shard.stamp.bytes = static_cast<int64_t>(bytes.size());
  shard.stamp.seal = seal;
  shard.examples = kExamples, shard.tokens = kTokens;
  OpenShard(path, shard, TeacherLayout{kVocab, kTopK});
}

}  // namespace
}  // namespace retort

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace retort;
  static const FuzzFolder folder;
  const std::string_view bytes = TextOf(data, size);
  const Path path = folder.Put("shard-00000.h5", bytes);
  for (const std::string& seal : {std::string(), Sha256(bytes), std::string(bytes.substr(0, 64))})
    RETORT_CHECK(!Accepted([&] { Use(path, bytes, seal); }), "a seal was guessed");
  return 0;
}
