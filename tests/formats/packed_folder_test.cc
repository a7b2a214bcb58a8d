// SPDX-License-Identifier: Apache-2.0
// Packed matrices by hand, and what is refused. The layouts of whole models are compared with other
// programs' by tests/judges/packed_folders_test.py.
#include "formats/packed_folder.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "formats/safetensors.h"
#include "tensor/quant/quant.h"

namespace retort {
namespace {

template <class T>
std::string Raw(std::initializer_list<T> values) {
  return std::string(reinterpret_cast<const char*>(values.begin()), values.size() * sizeof(T));
}

class PackedFolder : public testing::Test {
 protected:
  ~PackedFolder() override { std::filesystem::remove(file_); }

  struct Part {
    std::string name, type;
    std::vector<int64_t> shape;
    std::string bytes;
  };

  TensorTable Join(const std::vector<Part>& parts, const std::string& settings) {
    Json header = Json::object();
    std::string data;
    for (const Part& part : parts) {
      header[part.name] = {{"dtype", part.type},
                           {"shape", part.shape},
                           {"data_offsets", {data.size(), data.size() + part.bytes.size()}}};
      data += part.bytes;
    }
    const std::string text = DumpJson(header);
    const uint64_t size = text.size();
    std::string file(reinterpret_cast<const char*>(&size), sizeof(size));
    WriteTextAtomically(file_, file + text + data);
    return JoinPacked(ReadSafetensors(file_).tensors, ParseJson(settings, "settings"),
                      WeightFormat::kBF16);
  }
  static std::vector<float> Values(const TensorTable& table, int64_t rows, int64_t cols) {
    const Weight w = table.Load("a.weight", {rows, cols});
    std::vector<float> out(static_cast<size_t>(rows * cols));
    for (int64_t r = 0; r < rows; ++r) DecodeRow(w, r, 0, cols, out.data() + r * cols);
    return out;
  }
  std::string Fault(const std::vector<Part>& parts, const std::string& settings) {
    try {
      Join(parts, settings);
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), Error::Kind::kInput);
      return e.what();
    }
    return "";
  }

  // Eight outputs of eight inputs in two groups of four: input c of output r is (r + c) % 16.
  static std::vector<Part> Gptq() {
    std::string words, ones = Raw<uint16_t>({0x3c00, 0x3c00, 0x3c00, 0x3c00,  //
                                             0x3c00, 0x3c00, 0x3c00, 0x3c00});
    for (uint32_t r = 0; r < 8; ++r) {
      uint32_t word = 0;
      for (uint32_t c = 0; c < 8; ++c) word |= (r + c) % 16 << 4 * c;
      words += Raw<uint32_t>({word});
    }
    std::string twos = ones;
    for (size_t i = 1; i < twos.size(); i += 2) twos[i] = 0x40;
    return {{"a.qweight", "I32", {1, 8}, words},
            {"a.qzeros", "I32", {2, 1}, Raw<uint32_t>({0x00000007, 0x00000000})},
            {"a.scales", "F16", {2, 8}, ones + twos},
            {"a.g_idx", "I32", {8}, Raw<int32_t>({0, 0, 0, 0, 1, 1, 1, 1})},
            {"b", "F32", {1}, Raw<float>({3})}};
  }
  static constexpr const char* kGptq = R"({"quant_method": "gptq", "bits": 4, "group_size": 4})";

  const std::filesystem::path file_ =
      std::filesystem::temp_directory_path() / ("retort-packed-" + std::to_string(getpid()));
};

TEST_F(PackedFolder, GptqStoresZerosLessOneInItsFirstVersion) {
  for (const float less : {1.0f, 0.0f}) {
    const std::string second =
        R"({"quant_method": "gptq", "bits": 4, "group_size": 4, "checkpoint_format": "gptq_v2"})";
    const TensorTable table = Join(Gptq(), less > 0 ? kGptq : second);
    ASSERT_EQ(table.entries().size(), 2u);  // the matrix, and what is no part of one
    EXPECT_EQ(table.Find("a.weight")->format, WeightFormat::kF16);
    const std::vector<float> values = Values(table, 8, 8);
    for (int r = 0; r < 8; ++r) {
      for (int c = 0; c < 8; ++c) {
        const float zero = less + (r == 0 && c < 4 ? 7.0f : 0.0f);
        const float want = (static_cast<float>((r + c) % 16) - zero) * (c < 4 ? 1.0f : 2.0f);
        EXPECT_EQ(values[static_cast<size_t>(r * 8 + c)], want) << r << " " << c;
      }
    }
  }
}

TEST_F(PackedFolder, SmallFloatsHaveAScaleForEachBlock) {
  // 1, 448 (the largest), -0.5, the smallest (2^-9); scales of blocks of 1 x 2.
  const std::vector<Part> parts = {
      {"a.weight", "F8_E4M3", {1, 4}, Raw<uint8_t>({0x38, 0x7e, 0xb0, 0x01})},
      {"a.weight_scale_inv", "F32", {1, 2}, Raw<float>({0.5f, 4.0f})},
      {"a.input_scale", "F32", {1}, Raw<float>({1})}};
  const TensorTable table = Join(parts, R"({"quant_method": "fp8", "weight_block_size": [1, 2]})");
  EXPECT_EQ(table.entries().size(), 1u);
  EXPECT_EQ(Values(table, 1, 4), (std::vector<float>{0.5f, 224, -2, 0x1p-7f}));
}

TEST_F(PackedFolder, IntegersHaveAScaleForEachRow) {
  const TensorTable table = Join(
      {{"a.weight", "I8", {2, 2}, Raw<int8_t>({-128, 127, 1, 0})},
       {"a.weight_scale", "BF16", {2, 1}, Raw<uint16_t>({0x3f80, 0x4000})}},
      R"({"quant_method": "compressed-tensors", "config_groups": {"0": {"weights": {"strategy": "channel"}}}})");
  EXPECT_EQ(Values(table, 2, 2), (std::vector<float>{-128, 127, 2, 0}));
}

TEST_F(PackedFolder, GroupsAndBlocksMayBeLargerThanTheMatrix) {
  std::vector<Part> parts = Gptq();
  parts[1] = {"a.qzeros", "I32", {1, 1}, Raw<uint32_t>({0})};
  parts[2] = {"a.scales", "F16", {1, 8}, parts[2].bytes.substr(0, 16)};
  parts.erase(parts.begin() + 3);
  const TensorTable table =
      Join(parts, R"({"quant_method": "gptq", "bits": 4, "group_size": 9223372036854775807})");
  EXPECT_EQ(Values(table, 8, 8)[0], -1);
  const char* wide =
      R"({"quant_method": "fp8", "weight_block_size": [9223372036854775807, 9223372036854775807]})";
  const std::vector<Part> block = {{"a.weight", "F8_E4M3", {1, 2}, Raw<uint8_t>({0x38, 0x38})},
                                   {"a.weight_scale_inv", "F32", {1, 1}, Raw<float>({0.5f})}};
  EXPECT_EQ(Values(Join(block, wide), 1, 2), (std::vector<float>{0.5f, 0.5f}));
}

TEST_F(PackedFolder, OneScaleIsCountedNotMeasured) {
  const char* settings = R"({"quant_method": "fbgemm_fp8"})";
  const Part codes = {"a.weight", "F8_E4M3", {2, 1}, Raw<uint8_t>({0x38, 0x38})};
  const Part rows = {"a.weight_scale", "BF16", {2, 1}, Raw<uint16_t>({0x3f80, 0x4000})};
  EXPECT_EQ(Values(Join({codes, rows}, settings), 2, 1), (std::vector<float>{1, 2}));
  const Part none = {"a.weight_scale", "F32", {0}, ""};
  EXPECT_NE(Fault({codes, none}, settings).find("'a.weight_scale' has shape"), std::string::npos);
}

TEST_F(PackedFolder, WhatDoesNotFitIsRefusedByName) {
  const auto without = [](size_t part) {
    std::vector<Part> parts = Gptq();
    parts.erase(parts.begin() + static_cast<ptrdiff_t>(part));
    return parts;
  };
  EXPECT_NE(Fault(without(1), kGptq).find("'a.qzeros' is missing"), std::string::npos);
  EXPECT_NE(Fault(without(2), kGptq).find("'a.scales' is missing"), std::string::npos);
  std::vector<Part> far = Gptq();
  far[3].bytes = Raw<int32_t>({0, 0, 0, 0, 1, 1, 1, 2});
  EXPECT_NE(Fault(far, kGptq).find("gives input 7 the group 2, and there are 2"),
            std::string::npos);
  EXPECT_NE(Fault(Gptq(), R"({"quant_method": "gptq", "bits": 5, "group_size": 4})")
                .find("bits 5 is not read"),
            std::string::npos);
  EXPECT_NE(Fault(Gptq(), R"({"quant_method": "gptq", "bits": 3, "group_size": 4})")
                .find("words of 3 bits"),
            std::string::npos);
  EXPECT_NE(Fault(Gptq(), R"({"quant_method": "hqq"})").find("quant_method 'hqq' is not read"),
            std::string::npos);
  EXPECT_NE(Fault(Gptq(), R"({"quant_method": 4})").find("quant_method"), std::string::npos);
}

}  // namespace
}  // namespace retort
