// SPDX-License-Identifier: Apache-2.0
// What a child process sends that reads a stranger's HDF5 file (formats/hdf5_rows.h), and the shard
// of a teacher's cache in it. The first byte tells what was asked for.
#include <cstring>

#include "base/error.h"
#include "data/teacher_foreign.h"
#include "formats/hdf5_items.h"
#include "fuzz/support.h"

namespace retort {
namespace {

// As fuzz/make_seeds.cc sends it.
constexpr int64_t kExamples = 2, kTokens = 3, kMostBytes = 1 << 16;
// Few of many ids, ids of three bytes, and the whole vocabulary.
constexpr TeacherLayout kLayouts[] = {{300, 4}, {70'000, 2}, {4, 4}};

class Pipe {
 public:
  explicit Pipe(std::string_view sent) : left_(sent) {}
  void Read(void* to, size_t bytes) {
    if (bytes > left_.size()) throw InputError("m: the child died");
    if (bytes > 0) std::memcpy(to, left_.data(), bytes);
    left_.remove_prefix(bytes);
  }

 private:
  std::string_view left_;
};

void CheckItem(const Hdf5Item& item, bool values) {
  RETORT_CHECK(item.name.size() <= 1000 && item.name.find('\n') == std::string::npos, item.name);
  if (item.kind != Hdf5Item::Kind::kDataset) {
    RETORT_CHECK(values && item.values.empty() && item.text.size() <= 60'000, item.name);
    return;
  }
  RETORT_CHECK(item.stored_bytes >= 0, item.stored_bytes);
  for (const int64_t dim : item.shape) RETORT_CHECK(dim >= 0, dim);
  if (values) RETORT_CHECK(item.type && !item.shape.empty() && item.shape.size() <= 2, item.name);
  Touch(item.values);
}

void Use(std::string_view sent, const TeacherLayout* layout) {
  Pipe pipe(sent);
  ForeignShard foreign("m");
  TeacherShard shard;
  shard.examples = kExamples, shard.tokens = kTokens;
  int64_t bytes = 0;
  hdf5::ReadItems([&](void* to, size_t n) { pipe.Read(to, n); }, "m",
                  layout ? Hdf5Wanted::kValues : Hdf5Wanted::kNames, kMostBytes,
                  [&](Hdf5Item&& item) {
                    CheckItem(item, layout != nullptr);
                    bytes += std::ssize(item.values);
                    RETORT_CHECK(bytes <= kMostBytes, bytes);
                    if (item.name == "examples/hash") shard.examples_sha256 = Sha256(item.values);
                    if (layout) Accepted([&] { foreign.Add(std::move(item)); });
                  });
  if (!layout) return;
  const ShardContent content = foreign.Content(shard, *layout);
  int64_t tokens = 0;
  for (const int32_t count : content.counts) tokens += count;
  RETORT_CHECK(tokens == kTokens, tokens);
}

}  // namespace
}  // namespace retort

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace retort;
  if (size == 0) return 0;
  const size_t choice = data[0] % (std::size(kLayouts) + 1);
  const TeacherLayout* const layout = choice == 0 ? nullptr : &kLayouts[choice - 1];
  Accepted([&] { Use(TextOf(data + 1, size - 1), layout); });
  return 0;
}
