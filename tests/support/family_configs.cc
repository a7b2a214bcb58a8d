// SPDX-License-Identifier: Apache-2.0
#include "tests/support/family_configs.h"

#include <nlohmann/json.hpp>
#include <vector>

namespace retort {

Json ConfigWith(const char* family, const Json& more) {
  Json j = {{"model_type", family},     {"num_hidden_layers", 2},         {"hidden_size", 64},
            {"num_attention_heads", 4}, {"num_key_value_heads", 2},       {"intermediate_size", 96},
            {"vocab_size", 300},        {"max_position_embeddings", 256}, {"rms_norm_eps", 1e-5},
            {"rope_theta", 10000.0},    {"tie_word_embeddings", false},   {"eos_token_id", 256}};
  j.update(more);
  return j;
}

Json FamilyConfigs() {
  const Json yarn = {
      {"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 64}};
  const Json mscale = {{"rope_type", "yarn"},
                       {"factor", 40.0},
                       {"original_max_position_embeddings", 64},
                       {"mscale", 0.707},
                       {"mscale_all_dim", 0.707}};
  const Json latent = {{"num_key_value_heads", 4}, {"kv_lora_rank", 32},
                       {"qk_rope_head_dim", 8},    {"qk_nope_head_dim", 16},
                       {"v_head_dim", 12},         {"n_routed_experts", 4},
                       {"num_experts_per_tok", 2}, {"moe_intermediate_size", 32},
                       {"n_shared_experts", 1},    {"first_k_dense_replace", 1}};
  const auto deepseek = [&](const char* family, const Json& more) {
    Json j = ConfigWith(family, latent);
    j.update(more);
    return j;
  };
  const Json moe = {{"num_experts", 4}, {"num_experts_per_tok", 2}, {"moe_intermediate_size", 32}};
  const auto experts = [&](const char* family, const Json& more) {
    Json j = ConfigWith(family, moe);
    j.update(more);
    return j;
  };
  const Json llama3 = {{"rope_type", "llama3"},
                       {"factor", 8.0},
                       {"low_freq_factor", 1.0},
                       {"high_freq_factor", 4.0},
                       {"original_max_position_embeddings", 64}};
  Json falcon = {{"model_type", "falcon"}, {"num_hidden_layers", 2},
                 {"hidden_size", 64},      {"num_attention_heads", 4},
                 {"multi_query", true},    {"parallel_attn", true},
                 {"bias", false},          {"alibi", false},
                 {"vocab_size", 300},      {"max_position_embeddings", 256},
                 {"eos_token_id", 256}};
  Json grouped = falcon;
  grouped.update({{"new_decoder_architecture", true}, {"num_kv_heads", 2}});
  Json one_norm = grouped;
  one_norm["num_ln_in_parallel_attn"] = 1;
  std::vector<float> short_factors, long_factors;
  for (int i = 0; i < 6; ++i)
    short_factors.push_back(1 + 0.125f * static_cast<float>(i)),
        long_factors.push_back(2 + static_cast<float>(i));
  return {
      {"llama", ConfigWith("llama", {{"rope_scaling", llama3}})},
      {"llama with biases and a tied head",
       ConfigWith("llama", {{"attention_bias", true},
                            {"mlp_bias", true},
                            {"tie_word_embeddings", true},
                            {"head_dim", 32},
                            {"rope_scaling", {{"rope_type", "linear"}, {"factor", 2.5}}}})},
      {"mistral", ConfigWith("mistral", {{"sliding_window", 5}, {"head_dim", 24}})},
      {"mixtral", ConfigWith("mixtral", {{"num_local_experts", 4}, {"num_experts_per_tok", 2}})},
      {"qwen2", ConfigWith("qwen2", {{"tie_word_embeddings", true}, {"rope_scaling", yarn}})},
      {"qwen2_moe", experts("qwen2_moe", {{"shared_expert_intermediate_size", 48}})},
      {"qwen3", ConfigWith("qwen3", {{"head_dim", 24}, {"attention_bias", true}})},
      {"qwen3_moe", experts("qwen3_moe", {{"head_dim", 32}, {"norm_topk_prob", true}})},
      {"gemma", ConfigWith("gemma", {{"head_dim", 32}, {"tie_word_embeddings", true}})},
      {"gemma2", ConfigWith("gemma2", {{"head_dim", 32},
                                       {"tie_word_embeddings", true},
                                       {"query_pre_attn_scalar", 32},
                                       {"sliding_window", 5},
                                       {"attn_logit_softcapping", 2.0},
                                       {"final_logit_softcapping", 3.0}})},
      {"gemma3_text",
       ConfigWith("gemma3_text", {{"head_dim", 32},
                                  {"tie_word_embeddings", true},
                                  {"query_pre_attn_scalar", 32},
                                  {"sliding_window", 5},
                                  {"layer_types", {"sliding_attention", "full_attention"}},
                                  {"rope_theta", 1e6},
                                  {"rope_local_base_freq", 10000.0},
                                  {"rope_scaling", {{"rope_type", "linear"}, {"factor", 8.0}}}})},
      {"phi3", ConfigWith("phi3", {{"partial_rotary_factor", 0.75},
                                   {"sliding_window", nullptr},
                                   {"original_max_position_embeddings", 64},
                                   {"rope_scaling",
                                    {{"type", "longrope"},
                                     {"short_factor", short_factors},
                                     {"long_factor", long_factors}}}})},
      {"cohere", ConfigWith("cohere", {{"logit_scale", 0.25},
                                       {"layer_norm_eps", 1e-5},
                                       {"tie_word_embeddings", true}})},
      {"cohere with norms of heads",
       ConfigWith("cohere",
                  {{"logit_scale", 0.0625}, {"use_qk_norm", true}, {"tie_word_embeddings", true}})},
      {"cohere2", ConfigWith("cohere2", {{"num_hidden_layers", 4},
                                         {"logit_scale", 0.25},
                                         {"sliding_window", 5},
                                         {"tie_word_embeddings", true},
                                         {"layer_types",
                                          {"sliding_attention", "sliding_attention",
                                           "sliding_attention", "full_attention"}}})},
      {"falcon", falcon},
      {"falcon of groups", grouped},
      {"falcon of groups with one norm", one_norm},
      {"olmo2", ConfigWith("olmo2", Json::object())},
      {"granite", ConfigWith("granite", {{"embedding_multiplier", 6.0},
                                         {"residual_multiplier", 0.3},
                                         {"attention_multiplier", 0.1},
                                         {"logits_scaling", 4.0}})},
      {"smollm3",
       ConfigWith("smollm3", {{"num_hidden_layers", 4}, {"no_rope_layers", {1, 1, 1, 0}}})},
      {"deepseek_v2",
       deepseek("deepseek_v2", {{"q_lora_rank", nullptr}, {"rope_scaling", mscale}})},
      {"deepseek_v2 with groups", deepseek("deepseek_v2", {{"q_lora_rank", 24},
                                                           {"topk_method", "group_limited_greedy"},
                                                           {"n_group", 2},
                                                           {"topk_group", 1},
                                                           {"routed_scaling_factor", 2.5}})},
      {"deepseek_v3", deepseek("deepseek_v3", {{"q_lora_rank", 24},
                                               {"n_group", 2},
                                               {"topk_group", 1},
                                               {"norm_topk_prob", true},
                                               {"routed_scaling_factor", 1.5}})},
  };
}

}  // namespace retort
