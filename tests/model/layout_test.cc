// SPDX-License-Identifier: Apache-2.0
#include "model/layout.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace retort {
namespace {

DenseConfig Small(const char* family) {
  DenseConfig c;
  c.family = family;
  c.layers = 3, c.width = 32, c.heads = 4, c.kv_heads = 2, c.head_dim = 8, c.ffn = 64,
  c.vocab = 100;
  return c;
}

TEST(Layout, NamesAreUniqueInBothFiles) {
  DenseConfig c = Small("qwen3");
  c.qkv_bias = c.o_bias = c.mlp_bias = true;
  c.qk_norm = QkNorm::kHeads;
  std::set<std::string> hf, gguf;
  const auto tensors = LayoutOf(c).tensors;
  for (const TensorSpec& t : tensors) {
    EXPECT_TRUE(hf.insert(t.name).second) << t.name;
    EXPECT_TRUE(gguf.insert(t.gguf_name).second) << t.gguf_name;
  }
  EXPECT_EQ(tensors.size(), 3u + 3 * (2 + 7 + 7 + 2));
  c.tied = true;
  EXPECT_EQ(LayoutOf(c).tensors.size(), tensors.size() - 1);
}

TEST(Layout, OnlyTheLlamaArchitectureInterleavesItsQueriesAndKeys) {
  for (const char* family : {"llama", "mistral", "qwen2", "qwen3"}) {
    for (const TensorSpec& t : LayoutOf(Small(family)).tensors) {
      const bool llama = FamilyOf(Small(family)).gguf_architecture == "llama";
      const int64_t want = !llama                              ? 0
                           : t.name.ends_with("q_proj.weight") ? 4
                           : t.name.ends_with("k_proj.weight") ? 2
                                                               : 0;
      EXPECT_EQ(t.order.interleaved_heads, want) << family << " " << t.name;
    }
  }
}

TEST(RowOrder, PairsOfNeighboursAreHalfAHeadApart) {
  const RowOrder order{2};
  // Two heads of 8 rows: GGUF's rows 0 and 1 are a rotary pair, Hugging Face's rows 0 and 4.
  EXPECT_EQ(order.HuggingFaceRow(0, 16), 0);
  EXPECT_EQ(order.HuggingFaceRow(1, 16), 4);
  EXPECT_EQ(order.HuggingFaceRow(2, 16), 1);
  EXPECT_EQ(order.HuggingFaceRow(9, 16), 12);
  std::set<int64_t> seen;
  for (int64_t r = 0; r < 16; ++r) seen.insert(order.HuggingFaceRow(r, 16));
  EXPECT_EQ(seen.size(), 16u);
}

}  // namespace
}  // namespace retort
