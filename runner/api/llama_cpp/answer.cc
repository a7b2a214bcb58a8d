// SPDX-License-Identifier: Apache-2.0
#include "runner/api/openai/answer.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "runner/api/error.h"
#include "runner/api/llama_cpp/llama_cpp.h"
#include "runner/api/openai/logprobs.h"
#include "runner/api/request.h"

namespace retort {
namespace {

Json Ids(std::span<const int32_t> ids) {
  return Json(std::vector<int32_t>(ids.begin(), ids.end()));
}

// The options of a request. What this server does not have is told as off.
Json Settings(const ApiRequest& request) {
  const SamplingOptions& s = request.sampling;
  Json biases = Json::array();
  for (const auto& [token, bias] : s.logit_bias)
    biases.push_back({{"token", token}, {"bias", std::isinf(bias) ? Json() : Json(bias)}});
  const bool all = s.max_tokens == INT32_MAX;
  return {{"n_predict", all ? -1 : s.max_tokens},
          {"max_tokens", all ? -1 : s.max_tokens},
          {"seed", s.seed},
          {"temperature", s.temperature},
          {"dynatemp_range", s.dynatemp_range},
          {"dynatemp_exponent", s.dynatemp_exponent},
          {"top_k", s.top_k},
          {"top_p", s.top_p},
          {"min_p", s.min_p},
          {"top_n_sigma", s.top_n_sigma},
          {"xtc_probability", s.xtc_probability},
          {"xtc_threshold", s.xtc_threshold},
          {"typical_p", s.typical_p},
          {"repeat_last_n", s.repeat_last_n},
          {"repeat_penalty", s.repetition_penalty},
          {"presence_penalty", s.presence_penalty},
          {"frequency_penalty", s.frequency_penalty},
          {"dry_multiplier", s.dry_multiplier},
          {"dry_base", s.dry_base},
          {"dry_allowed_length", s.dry_allowed_length},
          {"dry_penalty_last_n", s.dry_penalty_last_n},
          {"dry_sequence_breakers", s.dry_sequence_breakers},
          {"mirostat", s.mirostat ? 2 : 0},
          {"mirostat_tau", s.mirostat_tau},
          {"mirostat_eta", s.mirostat_eta},
          {"adaptive_target", -1},
          {"adaptive_decay", 0},
          {"stop", s.stop},
          {"n_keep", 0},
          {"ignore_eos", s.ignore_eos},
          {"stream", request.stream},
          {"n_probs", request.logprobs.value_or(0)},
          {"post_sampling_probs", request.post_sampling_probs},
          {"logit_bias", std::move(biases)}};
}

class CompletionWriter : public AnswerWriter {
 public:
  CompletionWriter(ApiAnswerHead head, const LlamaCppRequest& read, const Tokenizer& tokenizer)
      : head_(std::move(head)),
        several_(read.several),
        return_tokens_(read.return_tokens),
        timings_(read.request.timings_per_token),
        logprobs_(read.request.logprobs.has_value()),
        drawn_(read.request.post_sampling_probs),
        most_(read.request.sampling.max_tokens),
        fields_(read.fields),
        prompts_(read.request.prompts),
        settings_(Settings(read.request)),
        tokenizer_(tokenizer) {}

  std::string Whole(const ApiAnswer& answer) override {
    Json all = Json::array();
    for (const ApiChoice& choice : answer.choices) {
      Json one = Final(choice, choice.said.content);
      if (return_tokens_) one["tokens"] = choice.ids;
      if (logprobs_ && Tells("completion_probabilities"))
        one["completion_probabilities"] = Probabilities(choice.tokens);
      all.push_back(Chosen(std::move(one)));
    }
    return DumpJson(several_ ? all : all.front());
  }
  std::string ErrorBody(const ApiError& error) const override { return ApiErrorBody(error); }

  std::string Begin(const ApiAnswer& /*answer*/) override { return ""; }
  std::string Reading(const ApiChoice& choice, int64_t tokens) override {
    Json one = Part(choice, "");
    one["prompt_progress"] = ProgressJson(choice, tokens);
    return ServerSentEvent(DumpJson(one));
  }
  std::string Said(const ApiChoice& choice, const AnswerPart& part,
                   std::span<const TokenLogprobs> tokens) override {
    Json one = Part(choice, part.text);
    if (logprobs_) one["completion_probabilities"] = Probabilities(tokens);
    return ServerSentEvent(DumpJson(one));
  }
  std::string EndOfChoice(const ApiChoice& choice, std::span<const TokenLogprobs> tokens) override {
    Json last = Final(choice, "");
    if (logprobs_) last["completion_probabilities"] = Probabilities(tokens);
    return ServerSentEvent(DumpJson(Chosen(std::move(last))));
  }
  std::string End(const ApiAnswer& /*answer*/) override { return ""; }
  std::string Failed(const ApiError& error) const override {
    return ServerSentEvent(ApiErrorBody(error));
  }

 private:
  // With the ids since the part before.
  Json Part(const ApiChoice& choice, const std::string& content) {
    size_t& told = told_[choice.index];
    Json part = {{"index", choice.index},
                 {"content", content},
                 {"tokens", Ids(std::span(choice.ids).subspan(told))},
                 {"stop", false},
                 {"id_slot", -1},
                 {"tokens_predicted", choice.usage.completion_tokens},
                 {"tokens_evaluated", choice.usage.prompt_tokens}};
    told = choice.ids.size();
    if (timings_) part["timings"] = TimingsJson(choice);
    return part;
  }
  Json Final(const ApiChoice& choice, const std::string& content) const {
    const ApiUsage& usage = choice.usage;
    const bool length = choice.finish == FinishReason::kLength;
    const char* stop = length ? "limit" : choice.stop_text.empty() ? "eos" : "word";
    Json last = {{"index", choice.index},
                 {"content", content},
                 {"tokens", Json::array()},
                 {"id_slot", -1},
                 {"stop", true},
                 {"model", head_.model},
                 {"tokens_predicted", usage.completion_tokens},
                 {"tokens_evaluated", usage.prompt_tokens},
                 {"has_new_line", choice.said.content.find('\n') != std::string::npos},
                 // By the end of the context.
                 {"truncated", length && usage.completion_tokens < most_},
                 {"stop_type", stop},
                 {"stopping_word", choice.stop_text},
                 {"tokens_cached", usage.prompt_tokens + usage.completion_tokens},
                 {"timings", TimingsJson(choice)}};
    // The large ones, for every choice.
    if (Tells("generation_settings")) last["generation_settings"] = settings_;
    if (Tells("prompt")) last["prompt"] = ShownPrompt(prompts_[choice.prompt], tokenizer_);
    return last;
  }
  // Whether this member or one of its own is asked for.
  bool Tells(const std::string& name) const {
    return fields_.empty() ||
           std::ranges::any_of(fields_, [&](const auto& path) { return path.front() == name; });
  }
  Json Probabilities(std::span<const TokenLogprobs> tokens) const {
    Json all = std::move(ChatLogprobs(tokens, tokenizer_)["content"]);
    for (size_t i = 0; i < tokens.size(); ++i) {
      all[i]["id"] = tokens[i].id;
      for (size_t j = 0; j < tokens[i].top.size(); ++j)
        all[i]["top_logprobs"][j]["id"] = tokens[i].top[j].first;
      if (drawn_) all[i] = AsDrawn(all[i]);
    }
    return all;
  }
  // Probabilities and their names in place of logarithms and theirs.
  static Json AsDrawn(const Json& token) {
    Json out = Json::object();
    for (const auto& [name, value] : token.items()) {
      if (name == "logprob") {
        out["prob"] = std::exp(value.get<double>());
      } else if (name == "top_logprobs") {
        Json& top = out["top_probs"] = Json::array();
        for (const Json& one : value) top.push_back(AsDrawn(one));
      } else {
        out[name] = value;
      }
    }
    return out;
  }
  // With the paths as keys.
  Json Chosen(Json whole) const {
    if (fields_.empty()) return whole;
    Json chosen = Json::object();
    for (const std::vector<std::string>& path : fields_) {
      const Json* at = &whole;
      for (auto name = path.begin(); at && name != path.end(); ++name)
        at = at->is_object() && at->contains(*name) ? &(*at)[*name] : nullptr;
      if (at) chosen[Join(path, "/")] = *at;
    }
    return chosen;
  }

  const ApiAnswerHead head_;
  const bool several_, return_tokens_, timings_, logprobs_, drawn_;
  const int64_t most_;
  const std::vector<std::vector<std::string>> fields_;
  const std::vector<ApiPrompt> prompts_;
  const Json settings_;
  const Tokenizer& tokenizer_;
  std::map<size_t, size_t> told_;  // by choice: ids that a stream has told
};

}  // namespace

std::string ShownPrompt(const ApiPrompt& prompt, const Tokenizer& tokenizer) {
  if (!prompt.ids.empty()) return tokenizer.Decode(prompt.ids, true);
  const TokenizerSpec& spec = tokenizer.spec();
  if (!tokenizer.puts_bos() || StartsWith(prompt.text, tokenizer.PieceText(spec.bos)))
    return prompt.text;
  return Cat(tokenizer.PieceText(spec.bos), spec.add_space_prefix ? " " : "", prompt.text);
}

std::unique_ptr<AnswerWriter> LlamaCppWriter(const ApiAnswerHead& head, const LlamaCppRequest& read,
                                             const Tokenizer& tokenizer) {
  return std::make_unique<CompletionWriter>(head, read, tokenizer);
}

}  // namespace retort
