// SPDX-License-Identifier: Apache-2.0
// Importance matrices in llama.cpp's two forms. That they weigh blocks as llama.cpp does is shown
// by gguf_mix_test.cc.
#include "export/importance.h"

#include <nlohmann/json.hpp>

#include "export/init_model.h"
#include "formats/gguf.h"
#include "tests/support/family_configs.h"
#include "tests/support/model_folder.h"

namespace retort {
namespace {

using Numbers = std::vector<float>;
// An importance matrix of any tensors, as llama-imatrix writes it.
Path WriteTensors(const Path& file,
                  const std::vector<std::pair<std::string, std::pair<Numbers, Numbers>>>& all) {
  GgufMetadata m;
  m.Set("general.type", std::string("imatrix"));
  GgufWriter writer(file, m);
  for (const auto& [name, numbers] : all) {
    const auto& [sums, counts] = numbers;
    const int64_t experts = std::ssize(counts);
    writer.Declare(name + ".in_sum2", WeightFormat::kF32, {experts, std::ssize(sums) / experts});
    writer.Declare(name + ".counts", WeightFormat::kF32, {experts, 1});
  }
  for (const auto& [name, numbers] : all) {
    writer.Write(name + ".in_sum2", std::as_bytes(std::span(numbers.first)));
    writer.Write(name + ".counts", std::as_bytes(std::span(numbers.second)));
  }
  writer.Commit();
  return file;
}

TEST(Importance, IsTheMeanOfEachExpertsInputs) {
  TemporaryFolder folder;
  const Importance i = Importance::Read(
      WriteTensors(folder / "i", {{"a", {{2, 4}, {2}}}, {"e", {{6, 9, 0, 0}, {3, 0}}}}));
  const auto values = [&](const char* name, int64_t expert, int64_t experts) {
    const std::span<const float> of = i.Of(name, expert, experts, 2);
    return Numbers(of.begin(), of.end());
  };
  EXPECT_EQ(values("a", -1, 0), (Numbers{1, 2}));
  EXPECT_EQ(values("e", 0, 2), (Numbers{2, 3}));
  EXPECT_EQ(values("e", 1, 2), (Numbers{1, 1}));  // saw nothing
  EXPECT_TRUE(values("b", -1, 0).empty());
  ExpectRefused([&] { i.Of("a", -1, 0, 3); }, {"'a' has 2 numbers", "of this model"});
  ExpectRefused([&] { i.Of("e", 0, 4, 1); }, {"'e'", "2 experts"});
}

TEST(Importance, RefusesWhatIsNone) {
  TemporaryFolder folder;
  const auto refuse = [&](const Numbers& sums, const Numbers& counts, const std::string& text) {
    WriteTensors(folder / "i", {{"a", {sums, counts}}});
    ExpectRefused([&] { Importance::Read(folder / "i"); }, {"i", text});
  };
  refuse({1, -1}, {2}, "holds -1");
  refuse({1, std::nanf("")}, {2}, "holds nan");
  refuse({1, 1}, {-2}, "holds -2");
  GgufWriter(folder / "none", GgufMetadata()).Commit();
  ExpectRefused([&] { Importance::Read(folder / "none"); }, {"none", "is no importance matrix"});
  GgufWriter half(folder / "half", GgufMetadata());
  half.Declare("a.in_sum2", WeightFormat::kF32, {2});
  const Numbers sums{1, 2};
  half.Write("a.in_sum2", std::as_bytes(std::span(sums)));
  half.Commit();
  ExpectRefused([&] { Importance::Read(folder / "half"); }, {"'a' has sums without counts"});
}

struct Measured {
  Layout layout;
  std::vector<InputSquares> inputs;
};

// Expert e has seen e + 1 tokens, but for the last, which saw none; all others 5.
Measured MeasureMixture(const TemporaryFolder& folder) {
  const Json config = FamilyConfigs()["qwen3_moe"];
  MakeModelFolder(folder / "m", config);
  Measured out{OpenModel(folder / "m").layout, {}};
  const auto experts = config["num_experts"].get<int64_t>();
  for (const LinearSpec& linear : out.layout.linears) {
    InputSquares& of = out.inputs.emplace_back();
    if (!linear.in_block()) continue;
    of.tokens = linear.expert < 0 ? 5 : linear.expert == experts - 1 ? 0 : linear.expert + 1;
    for (int64_t c = 0; c < linear.cols; ++c)
      of.sums.push_back(static_cast<double>(of.tokens * (c + linear.layer + 1)));
  }
  return out;
}

TEST(Importance, OfAMixtureIsReadAsItWasWritten) {
  TemporaryFolder folder;
  const Measured m = MeasureMixture(folder);
  for (const char* form : {"i.gguf", "i.dat", "i"}) {
    WriteImportance(m.layout, m.inputs, {"rows.jsonl", 4, 2}, folder / form);
    const Importance read = Importance::Read(folder / form);
    int64_t experts = 0;
    for (const TensorSpec& spec : m.layout.tensors) {
      const LinearSpec* linear = m.layout.LinearOf(spec);
      if (!linear || !linear->in_block()) continue;
      SCOPED_TRACE(Cat(form, " ", spec.name));
      const auto values = read.Of(spec.gguf_name, spec.expert, spec.experts, linear->cols);
      ASSERT_EQ(std::ssize(values), linear->cols);
      const bool seen = m.inputs[static_cast<size_t>(spec.target.id)].tokens > 0;
      for (int64_t c = 0; c < linear->cols; ++c)
        EXPECT_FLOAT_EQ(values[static_cast<size_t>(c)],
                        seen ? static_cast<float>(c + linear->layer + 1) : 1.0f);
      experts += spec.expert >= 0;
    }
    EXPECT_GT(experts, 0);
  }
}

TEST(Importance, ADatThatIsCutAnywhereIsRefused) {
  TemporaryFolder folder;
  const Measured m = MeasureMixture(folder);
  WriteImportance(m.layout, m.inputs, {"rows.jsonl", 4, 2}, folder / "i.dat");
  const std::string whole = ReadText(folder / "i.dat");
  const size_t end = whole.size() - 4 - 4 - std::string("rows.jsonl").size();  // those may lack
  for (size_t size : {size_t{0}, size_t{3}, size_t{9}, size_t{60}, end / 2, end - 1}) {
    WriteTextAtomically(folder / "cut", whole.substr(0, size));
    ExpectRefused([&] { Importance::Read(folder / "cut"); }, {"cut"});
  }
  WriteTextAtomically(folder / "cut", whole.substr(0, end));
  EXPECT_FALSE(Importance::Read(folder / "cut").empty());
  for (const char* bytes : {"\xff\xff\xff\xff", "\x01\x00\x00\x00\xff\xff\xff\x7f"}) {
    WriteTextAtomically(folder / "odd", std::string(bytes, 4) + std::string(40, '\xff'));
    ExpectRefused([&] { Importance::Read(folder / "odd"); }, {"odd"});
  }
}

}  // namespace
}  // namespace retort
