// SPDX-License-Identifier: Apache-2.0
#include "runner/server/info.h"

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/strings.h"
#include "runner/api/fields.h"
#include "runner/api/ollama/ollama.h"
#include "runner/api/openai/request.h"

namespace retort {
namespace {

std::string TokenText(const Tokenizer& tokenizer, int32_t id) {
  return id >= 0 && id < tokenizer.vocab_size() ? tokenizer.PieceText(id) : "";
}

// Ollama's.
Json DetailsOf(const ModelService& service, const ServedVariant& variant) {
  const Model& model = variant.model().model;
  const std::string family = model.config.family;
  return {{"parent_model", variant.is_adapter() ? service.model().name : ""},
          {"format", "retort"},
          {"family", family},
          {"families", Json::array({family})},
          {"parameter_size", ""},
          {"quantization_level", std::string(NameOf(model.compute()))}};
}

}  // namespace

ServerInfo::ServerInfo(const CurrentModel& current, const ServiceOptions& options)
    : current_(current), options_(options) {}

Json ServerInfo::Health() const {
  const EngineCounts counts = current_.counts();
  return {{"status", "ok"},
          {"running", counts.live},
          {"queued", counts.queued},
          {"cached_tokens", counts.cached_tokens},
          {"cache_capacity", counts.cache_capacity}};
}

// vLLM's `parent` says of which model an adapter is.
Json ServerInfo::Model(const ModelService& service, const ServedVariant& variant) const {
  Json model = {{"id", variant.name()},
                {"object", "model"},
                {"created", variant.created()},
                {"owned_by", "retort"},
                {"max_model_len", service.context()}};
  if (variant.is_adapter()) model["parent"] = service.model().name;
  return model;
}

Json ServerInfo::Model(const std::optional<std::string>& name) const {
  const auto service = current_.Get();
  return Model(*service, *service->Find(name));
}

Json ServerInfo::Models() const {
  const auto service = current_.Get();
  Json all = Json::array();
  for (const auto& variant : service->variants()) all.push_back(Model(*service, *variant));
  return {{"object", "list"}, {"data", all}};
}

Json ServerInfo::Props() const {
  const auto service = current_.Get();
  const ServedModel& model = service->model();
  const TokenizerSpec& spec = model.tokenizer.spec();
  const SamplingOptions defaults;
  return {{"default_generation_settings",
           {{"n_ctx", service->context()},
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
  const int64_t running = current_.counts().live;
  if (need_free && running >= options_.engine.parallel)
    throw ApiError(503, "no slot is free; try again later", "", "no_free_slot");
  const int64_t context = current_.Get()->context();
  Json slots = Json::array();
  for (int64_t i = 0; i < options_.engine.parallel; ++i) {
    slots.push_back({{"id", i},
                     {"n_ctx", context},
                     {"speculative", options_.engine.draft.any()},
                     {"is_processing", i < running}});
  }
  return slots;
}

Json ServerInfo::Version() const { return {{"version", options_.version}}; }

Json ServerInfo::Tags() const {
  const auto service = current_.Get();
  Json all = Json::array();
  for (const auto& variant : service->variants()) {
    all.push_back({{"name", variant->name()},
                   {"model", variant->name()},
                   {"modified_at", Rfc3339(variant->created())},
                   {"size", variant->model().model.weight_bytes()},
                   {"digest", variant->fingerprint().substr(variant->fingerprint().find('_') + 1)},
                   {"details", DetailsOf(*service, *variant)}});
  }
  return {{"models", all}};
}

Json ServerInfo::Show(const std::string& body) const {
  const Json object = ReadApiBody(body);
  const Json& name = MemberOf(object, MemberOf(object, "model").is_null() ? "name" : "model");
  if (!name.is_string()) throw BadValue("model", "must be the name of a model");
  const auto service = current_.Get();
  const auto variant = service->Find(OllamaModelName(name.get<std::string>()));
  const ServedModel& model = variant->model();
  const Architecture& config = model.model.config;
  const std::string family = config.family;
  return {{"modelfile", ""},
          {"parameters", ""},
          {"template", model.chat ? model.chat->Jinja() : ""},
          {"details", DetailsOf(*service, *variant)},
          {"model_info",
           {{"general.architecture", family},
            {family + ".context_length", service->context()},
            {family + ".embedding_length", config.width},
            {family + ".block_count", config.layers()},
            {family + ".vocab_size", config.vocab}}},
          {"capabilities", model.chat ? Json{"completion", "tools"} : Json::array({"completion"})},
          {"modified_at", Rfc3339(variant->created())}};
}

}  // namespace retort
