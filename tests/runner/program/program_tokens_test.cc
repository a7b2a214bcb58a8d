// SPDX-License-Identifier: Apache-2.0
// Programs over a tokenizer whose tokens join letters: they say what the same tokens say.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "data/model_tokenizer.h"
#include "model/model_files.h"
#include "tensor/cpu/products.h"
#include "tensor/quant/quant.h"
#include "tests/runner/server/fixture.h"
#include "tests/support/shared_data.h"

namespace retort {
namespace {

class ProgramTokensTest : public ServerTest {
 protected:
  // A random model, with weights as a server holds them for int8 products.
  void Serve(const Tokenizer& tokenizer) {
    model_.reset();
    backend_ = MakeCpuBackend(2, Compute::kInt8);
    DenseConfig config = SmallConfig(tokenizer.vocab_size());
    config.width = 64, config.ffn = 96, config.head_dim = 16;
    model_ = RandomModel(config, kSeed, *backend_, kSize);
    for (size_t id = 0; id < model_->linears.size(); ++id) {
      if (model_->layout.linears[id].use == LinearUse::kEmbedding) continue;
      auto& weight = std::get<PreparedWeight>(model_->linears[id].weight);
      weight = backend_->Prepare(Requantised(weight.as<CpuWeight>().weight, WeightFormat::kQ8_0,
                                             false, backend_->memory(), backend_->pool()),
                                 {.purpose = WeightUse::Purpose::kRunning, .lasting = true});
    }
    server_.emplace(ServedModel{*model_, nullptr, tokenizer, "tiny", {}, ""}, options_);
    thread_ = std::thread([this] { ended_in_order_ = server_->Run(); });
  }
  bool ComputesRows() const {
    return model_->linear(model_->layout.head).frozen().as<CpuWeight>().weight.layout() ==
           WeightLayout::kStrips;
  }
  Json Complete(const std::vector<int32_t>& ids, Json more) {
    more["prompt"] = ids;
    return AskJson(Post(kComplete, DumpJson(more)))["choices"][0];
  }
  // What a completion says of tokens behind a prompt.
  double Logprob(std::vector<int32_t> ids, const std::vector<int32_t>& label) {
    ids.insert(ids.end(), label.begin(), label.end());
    const Json choice = Complete(ids, {{"echo", true}, {"logprobs", 0}, {"max_tokens", 0}});
    const Json& tokens = choice["logprobs"]["token_logprobs"];
    double sum = 0;
    for (size_t i = tokens.size() - label.size(); i < tokens.size(); ++i)
      sum += tokens[i].get<double>();
    return sum;
  }
};

TEST_F(ProgramTokensTest, SayWhatTheSameTokensSayBitForBit) {
  RETORT_NEEDS(folder, "real/models/tinystories-656K");
  const auto tokenizer = LoadTokenizer(OpenModel(folder));
  Serve(*tokenizer);
  if (!ComputesRows()) GTEST_SKIP() << "int8 products of rows: no VNNI here";
  const std::vector<std::string> choices = {" little girl", " little boy", " big dog", " cat"};
  const Json answer = AskJson(
      Post("/v1/programs", DumpJson({{"prompt", "Once upon a ti"},
                                     {"steps",
                                      {{{"text", "me there was a"}},
                                       {{"select", "who"}, {"choices", choices}, {"suffix", "."}},
                                       {{"generate", "more"}, {"max_tokens", 20}}}}})));
  ASSERT_TRUE(answer.contains("steps")) << answer;
  const auto behind = [&](const std::vector<Segment>& text) {
    return *tokenizer->EncodeAtMost(text, true, kNoLimit);
  };
  std::vector<int32_t> ids = tokenizer->EncodePrompt("Once upon a ti");
  const auto next = behind({{"me there was a", true}});
  ids.insert(ids.end(), next.begin(), next.end());
  EXPECT_NE(ids, tokenizer->EncodePrompt("Once upon a time there was a"))
      << "the step's end is a token's";
  for (size_t i = 0; i < choices.size(); ++i) {
    EXPECT_EQ(answer["steps"][0]["choices"][i]["logprob"].get<double>(),
              Logprob(ids, behind({{choices[i], false}, {".", true}})))
        << choices[i];
  }
  const auto chosen = behind({{answer["variables"]["who"].get<std::string>(), false}, {".", true}});
  ids.insert(ids.end(), chosen.begin(), chosen.end());
  EXPECT_EQ(answer["steps"][1]["text"], Complete(ids, {{"max_tokens", 20}})["text"]);
}

}  // namespace
}  // namespace retort
