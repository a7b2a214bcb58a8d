// SPDX-License-Identifier: Apache-2.0
#include "runner/server_info.h"

#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/random.h"
#include "base/strings.h"
#include "runner/ollama.h"
#include "runner/openai_fields.h"

namespace retort {
namespace {

std::string Hexadecimal(uint64_t number) {
  char digits[20];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(number));
  return digits;
}

// The same for every server of the same model by the same program.
std::string FingerprintOf(const ServedModel& model, const std::string& version) {
  const Architecture& config = model.model.config;
  return "fp_" + Hexadecimal(NameKey(Cat(version, " ", model.name, " ", config.vocab, " ",
                                         config.width, " ", NameOf(model.model.compute()), " ",
                                         model.adapter != nullptr)));
}

std::string TokenText(const Tokenizer& tokenizer, int32_t id) {
  return id >= 0 && id < tokenizer.vocab_size() ? tokenizer.PieceText(id) : "";
}

}  // namespace

int64_t SecondsSince1970() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

ServerInfo::ServerInfo(const ModelService& service, const ServerOptions& options)
    : service_(service),
      options_(options),
      started_(SecondsSince1970()),
      fingerprint_(FingerprintOf(service.model(), options.version)) {}

Json ServerInfo::Health() const {
  const EngineCounts counts = service_.counts();
  return {{"status", "ok"},
          {"running", counts.live},
          {"queued", counts.queued},
          {"cached_tokens", counts.cached_tokens},
          {"cache_capacity", counts.cache_capacity}};
}

Json ServerInfo::Model() const {
  return {{"id", service_.model().name},
          {"object", "model"},
          {"created", started_},
          {"owned_by", "retort"},
          {"max_model_len", service_.context()}};
}

Json ServerInfo::Models() const { return {{"object", "list"}, {"data", Json::array({Model()})}}; }

Json ServerInfo::Props() const {
  const ServedModel& model = service_.model();
  const TokenizerSpec& spec = model.tokenizer.spec();
  const SamplingOptions defaults;
  return {{"default_generation_settings",
           {{"n_ctx", service_.context()},
            {"params",
             {{"temperature", defaults.temperature},
              {"top_k", defaults.top_k},
              {"top_p", defaults.top_p},
              {"min_p", defaults.min_p},
              {"max_tokens", kChatMaxTokens}}}}},
          {"total_slots", options_.engine.parallel},
          {"model_alias", model.name},
          {"chat_template", model.chat ? model.chat->Jinja() : ""},
          {"bos_token", TokenText(model.tokenizer, spec.bos)},
          {"eos_token", TokenText(model.tokenizer, spec.eos)},
          {"modalities", {{"vision", false}, {"audio", false}}},
          {"build_info", "retort " + options_.version}};
}

Json ServerInfo::Slots(bool need_free) const {
  const int64_t running = service_.counts().live;
  if (need_free && running >= options_.engine.parallel)
    throw ApiError(503, "no slot is free; try again later", "", "no_free_slot");
  Json slots = Json::array();
  for (int64_t i = 0; i < options_.engine.parallel; ++i) {
    slots.push_back({{"id", i},
                     {"n_ctx", service_.context()},
                     {"speculative", options_.engine.draft.any()},
                     {"is_processing", i < running}});
  }
  return slots;
}

Json ServerInfo::Version() const { return {{"version", options_.version}}; }

Json ServerInfo::Details() const {
  const ServedModel& model = service_.model();
  const std::string family = model.model.config.family;
  return {
      {"parent_model", ""},   {"format", "retort"},
      {"family", family},     {"families", Json::array({family})},
      {"parameter_size", ""}, {"quantization_level", std::string(NameOf(model.model.compute()))}};
}

Json ServerInfo::Tags() const {
  const ServedModel& model = service_.model();
  return {{"models", Json::array({{{"name", model.name},
                                   {"model", model.name},
                                   {"modified_at", Rfc3339(started_)},
                                   {"size", model.model.weight_bytes()},
                                   {"digest", Hexadecimal(NameKey(fingerprint_))},
                                   {"details", Details()}}})}};
}

Json ServerInfo::Show(const std::string& body) const {
  const Json object = ReadApiBody(body);
  const Json& name = MemberOf(object, MemberOf(object, "model").is_null() ? "name" : "model");
  if (!name.is_string()) throw BadValue("model", "must be the name of a model");
  service_.CheckModel(OllamaModelName(name.get<std::string>()));
  const ServedModel& model = service_.model();
  const Architecture& config = model.model.config;
  const std::string family = config.family;
  return {{"modelfile", ""},
          {"parameters", ""},
          {"template", model.chat ? model.chat->Jinja() : ""},
          {"details", Details()},
          {"model_info",
           {{"general.architecture", family},
            {family + ".context_length", service_.context()},
            {family + ".embedding_length", config.width},
            {family + ".block_count", config.layers()},
            {family + ".vocab_size", config.vocab}}},
          {"capabilities", model.chat ? Json{"completion", "tools"} : Json::array({"completion"})},
          {"modified_at", Rfc3339(started_)}};
}

}  // namespace retort
