// SPDX-License-Identifier: Apache-2.0
// Models in several GGUF files.
#include "formats/gguf.h"
#include "tests/formats/support.h"

namespace retort {
namespace {

struct Part {
  uint16_t number = 0, count = 2;
  int32_t tensors = 2;  // of all parts
  std::string tensor = "a";
  std::string extra;  // a key of its own
};

std::string FileOf(const Part& part) {
  ByteBuilder b;
  b.Text("GGUF").Add(3u).Add(uint64_t{1}).Add(uint64_t{part.extra.empty() ? 3u : 4u});
  b.String("split.no").Add(2u).Add(part.number);
  b.String("split.count").Add(2u).Add(part.count);
  b.String("split.tensors.count").Add(5u).Add(part.tensors);
  if (!part.extra.empty()) b.String(part.extra).Add(4u).Add(7u);
  b.String(part.tensor).Add(1u).Add(uint64_t{8}).Add(0u).Add(uint64_t{0});
  b.PadTo(32);
  for (int i = 0; i < 8; ++i) b.Add(static_cast<float>(part.number));
  return b.text();
}

class SplitGguf : public ::testing::Test {
 protected:
  Path Put(int shown, const Part& part) {
    return folder_.Put(Cat("m-0000", shown, "-of-00002.gguf"), FileOf(part));
  }
  TemporaryFolder folder_;
};

TEST_F(SplitGguf, TheFirstPartStandsForAll) {
  const Path first = Put(1, {0, 2, 2, "a", "llama.block_count"});
  Put(2, {1, 2, 2, "b"});
  const GgufFile file = ReadGguf(first);
  EXPECT_EQ(file.metadata.Int("llama.block_count"), 7);
  ASSERT_EQ(file.tensors.entries().size(), 2u);
  const Weight b = file.tensors.Load("b", {8});
  EXPECT_EQ(b.bytes()[3], std::byte{0x3f});  // 1.0f, the second file's
}

TEST_F(SplitGguf, AnotherPartNamesTheFirst) {
  Put(1, {});
  const Path second = Put(2, {1, 2, 2, "b"});
  ExpectRefused([&] { ReadGguf(second); }, {"part 2 of", "2 files", "'m-00001-of-00002.gguf'"});
}

TEST_F(SplitGguf, PartsThatDoNotBelongTogetherAreRefused) {
  const Path first = Put(1, {});
  const auto fails = [&](const std::vector<std::string>& says) {
    ExpectRefused([&] { ReadGguf(first); }, says);
  };
  fails({"m-00002-of-00002.gguf", "cannot be opened"});
  Put(2, {0, 2, 2, "b"});
  fails({"m-00002", "split.no is 0", "expected 1"});
  Put(2, {1, 3, 2, "b"});
  fails({"m-00002", "split.count 3"});
  Put(2, {1, 2, 2, "a"});
  fails({"'a'", "twice"});
  Put(2, {1, 2, 2, "b", "llama.block_count"});
  fails({"m-00002", "'llama.block_count'", "first part"});
  Put(2, {1, 2, 2, "b"});
  EXPECT_EQ(ReadGguf(first).tensors.entries().size(), 2u);
  Put(1, {0, 2, 3});
  fails({"split.tensors.count is 3", "2 tensors"});
  Put(1, {0, 2000, 3});
  fails({"split.count is 2000"});
  ExpectRefused([&] { ReadGguf(folder_.Put("other.gguf", FileOf({}))); },
                {"other.gguf", "part 1", "-00001-of-00002.gguf"});
  EXPECT_EQ(ReadGguf(folder_.Put("one.gguf", FileOf({0, 1, 1}))).tensors.entries().size(), 1u);
}

}  // namespace
}  // namespace retort
