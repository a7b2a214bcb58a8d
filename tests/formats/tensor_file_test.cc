// SPDX-License-Identifier: Apache-2.0
#include "formats/tensor_file.h"

#include "formats/gguf.h"
#include "formats/safetensors.h"
#include "tests/formats/support.h"

namespace retort {
namespace {

class TensorTableTest : public ::testing::Test {
 protected:
  TensorEntry Entry(std::string name, WeightFormat format, std::vector<int64_t> shape, size_t begin,
                    size_t bytes) {
    TensorEntry entry{std::move(name), std::move(shape), format};
    entry.bytes = file_->bytes().subspan(begin, bytes);
    entry.file = file_;
    return entry;
  }
  TemporaryFolder folder_;
  std::shared_ptr<const MappedFile> file_ = MappedFile::Open(
      folder_.Put("t", std::string("\0\1\2\3\4\5\6\7\x8\x9\xa\xb\xc\xd\xe\xf", 16)));
};

TEST_F(TensorTableTest, FetchBorrowsAlignedBytesAndCopiesUnalignedOnes) {
  TensorTable table("t");
  table.Add(Entry("aligned", WeightFormat::kF32, {1, 2}, 4, 8));
  table.Add(Entry("unaligned", WeightFormat::kF32, {2}, 5, 8));
  table.Add(Entry("half", WeightFormat::kBF16, {2}, 2, 4));
  EXPECT_EQ(table.Load("aligned", {1, 2}).bytes().data(), file_->bytes().data() + 4);
  EXPECT_EQ(table.Load("half", {2}).bytes().data(), file_->bytes().data() + 2);
  const Weight copied = table.Load("unaligned", {2});
  EXPECT_EQ(reinterpret_cast<uintptr_t>(copied.bytes().data()) % 4, 0u);
  EXPECT_EQ(TextOf(copied.bytes()), TextOf(file_->bytes().subspan(5, 8)));
  EXPECT_EQ(copied.rows(), 1);
  EXPECT_EQ(copied.cols(), 2);
}

TEST_F(TensorTableTest, AWeightKeepsItsFileMapped) {
  Weight weight;
  {
    TensorTable table("t");
    table.Add(Entry("a", WeightFormat::kF32, {2, 2}, 0, 16));
    weight = table.Load("a", {2, 2});
    file_.reset();
  }
  EXPECT_EQ(weight.bytes()[15], std::byte{15});
}

TEST_F(TensorTableTest, FetchRefusesByName) {
  TensorTable table("model.x");
  table.Add(Entry("a", WeightFormat::kF32, {2, 2}, 0, 16));
  TensorEntry other = Entry("b", WeightFormat::kF32, {2}, 0, 16);
  other.other_type = "I64";
  table.Add(other);
  ExpectRefused([&] { table.Load("c", {2}); }, {"model.x", "'c'", "missing"});
  ExpectRefused([&] { table.Load("a", {4, 1}); }, {"/t:", "'a'", "[2, 2]", "[4, 1]"});
  ExpectRefused([&] { table.Load("a", {4}); }, {"'a'", "[2, 2]", "[4]"});
  ExpectRefused([&] { table.Load("b", {2}); }, {"/t:", "'b'", "I64"});
  ExpectRefused([&] { table.Add(other); }, {"model.x", "'b'", "twice"});
}

TEST(TensorFileWriter, MisuseIsABugAndLeavesNothingBehind) {
  TemporaryFolder folder;
  const std::vector<float> four(4), five(5);
  {
    SafetensorsWriter writer(folder / "w");
    writer.Declare("a", WeightFormat::kF32, {2, 2});
    EXPECT_THROW(writer.Declare("a", WeightFormat::kF32, {1}), Error);
    EXPECT_THROW(writer.Declare("q", WeightFormat::kQ8_0, {1, 32}), Error);
    EXPECT_THROW(writer.Write("a", BytesOf(five)), Error);
    EXPECT_THROW(writer.Write("b", BytesOf(four)), Error);
    EXPECT_THROW(writer.Declare("late", WeightFormat::kF32, {1}), Error);
    EXPECT_THROW(writer.Commit(), Error);  // 'a' is short
  }
  EXPECT_EQ(folder.Entries(), 0u);
  GgufWriter gguf(folder / "w", GgufMetadata());
  ExpectRefused([&] { gguf.Declare("q", WeightFormat::kQ4_0, {2, 33}); }, {"33", "q4_0", "32"});
  EXPECT_THROW(gguf.Declare(std::string(64, 'n'), WeightFormat::kF32, {1}), Error);
  EXPECT_THROW(gguf.Declare("d", WeightFormat::kF32, {1, 1, 1, 1, 1}), Error);
  GgufMetadata bad;
  bad.Set("Bad Key", true);
  EXPECT_THROW(GgufWriter(folder / "v", bad), Error);
}

}  // namespace
}  // namespace retort
