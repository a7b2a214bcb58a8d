// SPDX-License-Identifier: Apache-2.0
// A shard of a teacher's cache (HDF5), with the checksum that its manifest would give.
#include "data/teacher_files.h"
#include "fuzz/support.h"

namespace retort {
namespace {

// As fuzz/make_seeds.cc writes it.
constexpr int64_t kVocab = 64, kTopK = 4, kExamples = 6, kTokens = 40;

void Use(const Path& path, std::string_view bytes) {
  TeacherShard shard;
  shard.sha256 = Sha256(bytes);
  shard.bytes = static_cast<int64_t>(bytes.size());
  shard.examples = kExamples, shard.tokens = kTokens;
  const TeacherLayout layout{kVocab, kTopK};
  OpenShard open(path, shard, layout);
  open.Hashes();
  for (int64_t block = 0; block * layout.block_rows() < kTokens; ++block)
    open.ReadBlock(block).Unpack();
}

}  // namespace
}  // namespace retort

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace retort;
  static const FuzzFolder folder;
  const std::string_view bytes = TextOf(data, size);
  const Path path = folder.Put("shard-00000.h5", bytes);
  Accepted([&] { Use(path, bytes); });
  return 0;
}
