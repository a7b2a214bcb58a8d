// SPDX-License-Identifier: Apache-2.0
// Matrices of 4 and 8 bits as a folder keeps them: written, read back, and refused where they are
// odd.
#include "formats/bitsandbytes.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <functional>

#include "base/error.h"
#include "base/random.h"
#include "formats/safetensors.h"
#include "tensor/quant/quant.h"

namespace retort {
namespace {

constexpr int64_t kRows = 90, kCols = 200;  // blocks cross rows, and maxima are in two blocks

class Bitsandbytes : public testing::Test {
 protected:
  ~Bitsandbytes() override { std::filesystem::remove(file_); }

  Weight Make(const char* format, bool double_quant) {
    const Tensor values = Tensor::Make(*memory_, {kRows, kCols}, DType::kF32);
    RandomStream random(MakeKey(1, RandomUse::kData));
    for (int64_t i = 0; i < values.elements(); ++i)
      values.data<float>()[i] = static_cast<float>(random.Normal());
    const Weight source(WeightFormat::kF32, kRows, kCols,
                        Bytes(values.raw(), static_cast<size_t>(values.bytes())),
                        std::make_shared<Tensor>(values));
    ThreadPool pool(1);
    return Requantised(source, FormatNamed(format), double_quant, *memory_, pool);
  }
  // Writes the group and a tensor of another kind, and reads both.
  TensorTable WriteAndRead(const Weight& w,
                           const std::function<void(std::vector<BitsandbytesPart>&)>& change = {}) {
    std::vector<BitsandbytesPart> parts = BitsandbytesParts("a.weight", w, "float32");
    if (change) change(parts);
    SafetensorsWriter writer(file_);
    for (const BitsandbytesPart& part : parts) {
      if (part.raw)
        writer.DeclareIntegers(part.name, "U8", part.shape);
      else
        writer.Declare(part.name, WeightFormat::kF32, part.shape);
    }
    const float one = 1;
    writer.Declare("b", WeightFormat::kF32, {1});
    writer.Write("b", std::as_bytes(std::span(&one, 1)));
    for (const BitsandbytesPart& part : parts) writer.Write(part.name, part.bytes);
    writer.Commit();
    return JoinBitsandbytes(ReadSafetensors(file_).tensors);
  }
  std::string Fault(const std::function<void(std::vector<BitsandbytesPart>&)>& change) {
    try {
      WriteAndRead(Make("nf4", true), change);
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), Error::Kind::kInput);
      return e.what();
    }
    return "";
  }
  static std::vector<float> Decoded(const Weight& w) {
    std::vector<float> out(static_cast<size_t>(w.rows() * w.cols()));
    for (int64_t r = 0; r < w.rows(); ++r) DecodeRow(w, r, 0, w.cols(), &out[r * w.cols()]);
    return out;
  }
  static BitsandbytesPart& Find(std::vector<BitsandbytesPart>& parts, std::string_view end) {
    for (BitsandbytesPart& part : parts) {
      if (part.name.ends_with(end)) return part;
    }
    throw Failure("no part ", end);
  }
  static void SetState(std::vector<BitsandbytesPart>& parts, const std::string& from,
                       const std::string& to) {
    BitsandbytesPart& state = Find(parts, "__nf4");
    const std::string text = ReplaceAll(
        std::string(reinterpret_cast<const char*>(state.bytes.data()), state.bytes.size()), from,
        to);
    const Bytes bytes = std::as_bytes(std::span(text));
    state.bytes.assign(bytes.begin(), bytes.end());
    state.shape = {std::ssize(text)};
  }

  std::shared_ptr<Memory> memory_ = MakeHostMemory();
  const Path file_ = std::filesystem::temp_directory_path() /
                     Cat("retort-bitsandbytes-", ::getpid(), ".safetensors");
};

TEST_F(Bitsandbytes, WhatIsWrittenIsReadBack) {
  for (const char* format : {"nf4", "fp4"}) {
    for (const bool double_quant : {false, true}) {
      SCOPED_TRACE(Cat(format, " ", double_quant));
      const Weight w = Make(format, double_quant);
      const TensorTable table = WriteAndRead(w);
      ASSERT_EQ(table.entries().size(), 2u);
      EXPECT_EQ(table.Find("a.weight")->type_name(), format);
      const Weight read = table.Load("a.weight", {kRows, kCols});
      EXPECT_TRUE(std::ranges::equal(read.bytes(), w.bytes()));
      EXPECT_EQ(read.total_bytes(), w.total_bytes());
      EXPECT_EQ(Decoded(read), Decoded(w));
    }
  }
}

TEST_F(Bitsandbytes, LongerBlocksRepeatTheirMaximum) {
  const Weight w = Make("nf4", false);
  const TensorTable table = WriteAndRead(w, [&](std::vector<BitsandbytesPart>& parts) {
    SetState(parts, "\"blocksize\":64", "\"blocksize\":128");
    BitsandbytesPart& absmax = Find(parts, ".absmax");
    absmax.shape = {(kRows * kCols + 127) / 128};
    absmax.bytes.resize(static_cast<size_t>(absmax.shape[0]) * sizeof(float));
  });
  const Weight read = table.Load("a.weight", {kRows, kCols});
  for (int64_t b = 0; b < read.nf4().absmax.elements(); ++b)
    EXPECT_EQ(read.nf4().absmax.data<float>()[b], w.nf4().absmax.data<float>()[b / 2]) << b;
}

TEST_F(Bitsandbytes, OddGroupsAreRefusedByName) {
  const auto fault = [&](const char* end, const auto& change) {
    return Fault([&](std::vector<BitsandbytesPart>& parts) { change(Find(parts, end)); });
  };
  const auto state = [&](const char* from, const char* to) {
    return Fault([&](std::vector<BitsandbytesPart>& parts) { SetState(parts, from, to); });
  };
  const auto holds = [](const std::string& text, const char* what) {
    EXPECT_NE(text.find("a.weight"), std::string::npos) << text;
    EXPECT_NE(text.find(what), std::string::npos) << text;
  };
  holds(fault(".nested_absmax", [](BitsandbytesPart& p) { p.name = "c"; }), "is missing");
  holds(fault(".quant_map", [](BitsandbytesPart& p) { p.bytes[2] = static_cast<std::byte>(0x81); }),
        "its quant_map has");
  holds(fault(".absmax",
              [](BitsandbytesPart& p) {
                p.bytes.pop_back();
                --p.shape[0];
              }),
        "its absmax has 281 bytes");
  holds(state("\"blocksize\":64", "\"blocksize\":32"), "blocksize 32 is not read");
  holds(state("\"nested_blocksize\":256", "\"nested_blocksize\":128"), "must be 256");
  holds(state("\"quant_type\":\"nf4\"", "\"quant_type\":\"int4\""), "neither nf4 nor fp4");
  holds(state("\"shape\":[90,200]", "\"shape\":[90,201]"), "bytes; [90, 201] in blocks of 64");
  holds(state("\"shape\":[90,200]", "\"shape\":[-90]"), "numbers above 0");
  holds(state("{", "["), "not JSON");
  holds(fault(".quant_map", [](BitsandbytesPart& p) { p.name = "a.weight.SCB"; }), "type I8");
}

// A layer of 2 x 3 codes with their maxima, as a file's table has it before it is joined.
TensorTable Int8Table(const std::vector<int8_t>& codes, const std::vector<float>& maxima,
                      uint8_t order = 0) {
  static std::vector<std::vector<std::byte>> held;  // outlives the tables
  const auto file = MappedFile::Zeros(1);
  const auto hold = [&](const auto& values) -> Bytes {
    const Bytes bytes = std::as_bytes(std::span(values));
    return held.emplace_back(bytes.begin(), bytes.end());
  };
  TensorTable table("file");
  const auto rows = std::ssize(maxima);
  table.Add({.name = "a.SCB", .shape = {rows}, .bytes = hold(maxima), .file = file});
  table.Add({.name = "a.weight",
             .shape = {2, std::ssize(codes) / 2},
             .other_type = "I8",
             .bytes = hold(codes),
             .file = file});
  table.Add({.name = "a.weight_format",
             .other_type = "U8",
             .bytes = hold(std::vector<uint8_t>{order}),
             .file = file});
  return table;
}

TEST_F(Bitsandbytes, CodesOfEightBitsAreShares) {
  const TensorTable table = JoinBitsandbytes(Int8Table({127, -127, 64, 0, 1, -2}, {0.5f, 12.7f}));
  ASSERT_EQ(table.entries().size(), 1u);
  const TensorEntry& entry = *table.Find("a.weight");
  EXPECT_EQ(entry.type_name(), "int8");
  EXPECT_TRUE(entry.is_weight());
  ThreadPool pool(2);
  for (ThreadPool* one : {static_cast<ThreadPool*>(nullptr), &pool}) {
    const std::vector<float> values = Decoded(table.Load("a.weight", {2, 3}, one));
    const std::vector<float> want = {0.5f, -0.5f, 0.5f * 64 / 127, 0, 0.1f, -0.2f};
    ASSERT_EQ(values.size(), want.size());
    for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(values[i], want[i], 1e-6) << i;
  }
}

TEST_F(Bitsandbytes, OddLayersOfEightBitsAreRefused) {
  const auto fault = [](const TensorTable& table) -> std::string {
    try {
      JoinBitsandbytes(table);
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_NE(fault(Int8Table({1, 2}, {1, 2, 3})).find("must be 2 values"), std::string::npos);
  EXPECT_NE(fault(Int8Table({1, 2}, {1, 2}, 1)).find("weight_format is not 0"), std::string::npos);
}

}  // namespace
}  // namespace retort
