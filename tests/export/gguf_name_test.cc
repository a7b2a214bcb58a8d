// SPDX-License-Identifier: Apache-2.0
// The expected parts are those of llama.cpp's own Python (gguf.metadata).
#include "export/gguf_name.h"

#include <gtest/gtest.h>

#include "model/spec/architecture.h"

namespace retort {
namespace {

TEST(GgufName, TakesAFoldersNameApartAsLlamaCppDoes) {
  const struct {
    const char* folder;
    int64_t parameters;
    GgufName name;
  } cases[] = {
      {"SmolLM2-135M-Instruct",
       134515008,
       {"SmolLM2 135M Instruct", "SmolLM2", "Instruct", "", "135M"}},
      {"smollm2-135m-instruct",
       134515008,
       {"Smollm2 135m Instruct", "smollm2", "instruct", "", "135M"}},
      {"gemma-3-270m", 268098176, {"Gemma 3 270m", "gemma-3", "", "", "270M"}},
      {"Qwen2.5-Coder-0.5B-Instruct",
       494032768,
       {"Qwen2.5 Coder 0.5B Instruct", "Qwen2.5-Coder", "Instruct", "", "0.5B"}},
      {"Llama-3.2-1B", 1235814400, {"Llama 3.2 1B", "Llama-3.2", "", "", "1B"}},
      {"Mixtral-8x7B-Instruct-v0.1",
       46702792704,
       {"Mixtral 8x7B Instruct v0.1", "Mixtral", "Instruct", "v0.1", "8x7B"}},
      {"Mistral-7B-v0.3", 7248023552, {"Mistral 7B v0.3", "Mistral", "", "v0.3", "7B"}},
      {"Phi-3-mini-4k-instruct",
       3821079552,
       {"Phi 3 Mini 4k Instruct", "Phi-3", "4k-instruct", "", "mini"}},
      {"Phi-3.5-mini-instruct",
       3821079552,
       {"Phi 3.5 Mini Instruct", "Phi-3.5", "instruct", "", "mini"}},
      {"bloom-7b1", 7069016064, {"Bloom 7b1", "bloom", "", "", "7.1B"}},
      {"stories260k", 260000, {"Stories260K", "", "", "", ""}},
      {"Meta-Llama-3.1-8B-Instruct",
       8030261248,
       {"Meta Llama 3.1 8B Instruct", "Meta-Llama-3.1", "Instruct", "", "8B"}},
      {"Qwen3-30B-A3B", 30532122624, {"Qwen3 30B A3B", "Qwen3", "", "", "30B-A3B"}},
      {"granite-3.3-2b-instruct",
       2533539840,
       {"Granite 3.3 2b Instruct", "granite-3.3", "instruct", "", "2B"}},
      {"falcon-40b", 41303293952, {"Falcon 40b", "falcon", "", "", "40B"}},
      {"c4ai-command-r7b-12-2024",
       8028033024,
       {"C4Ai Command R7B 12 2024", "c4ai-command-r7b", "", "12-2024", ""}},
      {"model", 1000000, {"Model", "", "", "", ""}},
      {"my model 7B", 1000000, {"My Model 7B", "", "", "", ""}},
      {"deepseek-llm-7b-chat",
       6910365696,
       {"Deepseek Llm 7b Chat", "deepseek-llm", "chat", "", "7B"}},
      {"OLMo-2-0425-1B", 1484916736, {"OLMo 2 0425 1B", "OLMo-2-0425", "", "", "1B"}},
      {"TinyLlama-1.1B-Chat-v1.0",
       1100048384,
       {"TinyLlama 1.1B Chat v1.0", "TinyLlama", "Chat", "v1.0", "1.1B"}},
      {"merged-q8_0", 5, {"Merged Q8_0", "", "", "", ""}},
      {"a-large-1_5b-bf16-v2", 1500000000, {"A Large 1_5b Bf16 v2", "a-large", "", "v2", "1.5B"}},
      {"SmolLM3-3B-128k", 3075098624, {"SmolLM3 3B 128k", "SmolLM3", "128k", "", "3B"}},
  };
  for (const auto& [folder, parameters, expected] : cases) {
    SCOPED_TRACE(folder);
    const GgufName got = NameOfFolder(folder, parameters);
    EXPECT_EQ(got.name, expected.name);
    EXPECT_EQ(got.basename, expected.basename);
    EXPECT_EQ(got.finetune, expected.finetune);
    EXPECT_EQ(got.version, expected.version);
    EXPECT_EQ(got.size_label, expected.size_label);
  }
}

TEST(GgufName, CountsTheParametersOfAnUnnamedSize) {
  DenseConfig c;
  c.layers = 2, c.width = 64, c.heads = 4, c.kv_heads = 2, c.head_dim = 16, c.ffn = 112,
  c.vocab = 320;
  // 2 x 64 x 320 outside; each layer 2 x 64 x 64 + 2 x 64 x 32 + 3 x 64 x 112 + 2 x 64; one norm.
  EXPECT_EQ(LayoutOf(c).parameters(), 40960 + 2 * 33920 + 64);
  EXPECT_EQ(SizeLabel(LayoutOf(c)), "109K");
  c.family = "mixtral";
  Architecture a = c;
  for (BlockSpec& block : a.blocks) block.mlp.experts = {8, 2, true};
  // One expert and its share of the router's rows: 109K and 2 x 8 x 64.
  EXPECT_EQ(SizeLabel(LayoutOf(a)), "8x110K");
}

}  // namespace
}  // namespace retort
