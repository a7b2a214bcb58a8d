// SPDX-License-Identifier: Apache-2.0
#include "runner/service/model_service.h"

#include <algorithm>

#include "base/error.h"
#include "base/strings.h"
#include "base/text.h"
#include "runner/api/fields.h"
#include "runner/api/llama_cpp/llama_cpp.h"
#include "runner/engine/tickets.h"
#include "runner/service/field_scoring.h"

namespace retort {
namespace {

// Log-probabilities of one request, the likeliest tokens' too. Each takes some 100 bytes of the
// answer.
constexpr int64_t kMostAnswerLogprobs = 1 << 21;

EngineOptions Paced(EngineOptions options) {
  options.paced = true;
  return options;
}

// Of the program and the reading of the model: answers of the next one have another fingerprint.
std::string VersionOf(const ServiceOptions& options) {
  return options.reading == 0 ? options.version : Cat(options.version, " ", options.reading);
}

}  // namespace

ApiError QueueFull() {
  return ApiError(429, "too many requests are waiting; try again later", "", "queue_full");
}

ModelService::ModelService(ServedModel model, const ServiceOptions& options,
                           std::atomic<int64_t>& taken, std::shared_ptr<const void> owner)
    : owner_(std::move(owner)),
      options_(options),
      most_(options.engine.parallel + options.queue),
      taken_(taken),
      engine_(model.model, model.adapter, model.tokenizer, Paced(options.engine)),
      base_(std::make_shared<ServedVariant>(std::move(model), nullptr, Path(), options.rule,
                                            engine_.context(), VersionOf(options))),
      grammars_(base_->model().tokenizer),
      names_(base_),
      // A request gives its places back just before its last event ends in the engine.
      thread_(engine_, most_ + options.engine.parallel) {
  if (options.rule.grammar) grammars_.Get(*options.rule.grammar, options.rule.where);
  for (const auto& [name, folder] : options.adapters.loaded) {
    try {
      LoadAdapter(name, folder);
    } catch (const ApiError& e) {
      throw InputError("adapter ", Quoted(name), " (", folder.string(), "): ", e.what());
    }
  }
}

std::shared_ptr<const ServedVariant> ModelService::LoadAdapter(const std::string& name,
                                                               const Path& folder) {
  names_.CheckNew(name);
  auto variant = AsRequestError("lora_path", [&] { return OpenAdapter(name, folder); });
  names_.Add(variant);
  return variant;
}

std::shared_ptr<const ServedVariant> ModelService::OpenAdapter(const std::string& name,
                                                               const Path& folder) {
  AdapterOffer offer = options_.adapters.open(folder);
  if (offer.rule.grammar) grammars_.Get(*offer.rule.grammar, offer.rule.where);
  std::unique_ptr<const Adapter> loaded;
  thread_.Run([&] { loaded = offer.load(); });
  const ServedModel served{model().model,         nullptr,
                           model().tokenizer,     name,
                           std::move(offer.chat), std::move(offer.no_chat)};
  return std::make_shared<ServedVariant>(served, thread_.Keep(std::move(loaded)), folder,
                                         std::move(offer.rule), context(), VersionOf(options_));
}

std::vector<std::pair<std::string, Path>> ModelService::adapters() const {
  std::vector<std::pair<std::string, Path>> out;
  for (const auto& variant : variants()) {
    if (variant->is_adapter()) out.emplace_back(variant->name(), variant->folder());
  }
  return out;
}

std::optional<AnswerRule> ModelService::RuleOf(const ApiRequest& request,
                                               const ServedVariant& variant) const {
  if (request.grammar) {
    GrammarSource source = *request.grammar;
    source.space = options_.json_space;
    return AnswerRule{std::move(source), Cat("'", request.grammar_field, "'")};
  }
  AnswerRule rule = variant.rule();
  // One that asks for any text has a field and no grammar.
  if (!rule.grammar || !request.grammar_field.empty() || request.tools.Shown()) return std::nullopt;
  if (request.kind == ApiKind::kChat) rule.grammar->before.clear();
  return rule;
}

std::shared_ptr<const Grammar> ModelService::GrammarOf(const ApiRequest& request,
                                                       const ServedVariant& variant) {
  const std::optional<AnswerRule> rule = RuleOf(request, variant);
  if (!rule) return nullptr;
  const auto get = [&] { return grammars_.Get(*rule->grammar, rule->where); };
  return request.grammar ? AsRequestError(request.grammar_field, get) : get();
}

ChoiceRule ModelService::ChoicesOf(const ApiRequest& request, const ServedVariant& variant,
                                   const GenerationRequest& generation) const {
  const std::optional<AnswerRule> rule = RuleOf(request, variant);
  if (!rule)
    throw BadValue("field_probabilities", "needs an answer that is held to a schema or choices");
  return ChoiceRule(*rule->grammar, generation.constraint,
                    EndOf(generation.sampling, model().model.config));
}

GenerationRequest ModelService::Generation(const ApiRequest& request, const ServedVariant& variant,
                                           std::vector<int32_t> prompt,
                                           ServedVariant::MakeParser& parser) {
  GenerationRequest out;
  out.prompt = std::move(prompt);
  out.sampling = request.sampling;
  out.pooling = request.pooling;
  out.logprobs = request.logprobs.value_or(request.best_of > request.n ? 0 : -1);
  out.drawn_logprobs = request.post_sampling_probs;
  out.prompt_logprobs = request.echo && request.logprobs;
  out.watched = options_.watched;
  out.progress = request.return_progress && request.stream;
  if (request.pooling == Pooling::kNone) out.constraint.grammar = GrammarOf(request, variant);
  variant.Prepare(request, out, parser);
  if (out.constraint.grammar && (out.sampling.min_tokens > 0 || out.sampling.ignore_eos)) {
    throw BadValue(out.sampling.ignore_eos ? "ignore_eos" : "min_tokens",
                   "cannot go with a grammar, which says where an answer ends");
  }
  return out;
}

GenerationRequest ModelService::GenerationOf(const ApiRequest& completion,
                                             const ServedVariant& variant,
                                             std::vector<int32_t> prompt, bool in_chat) {
  CheckSamplingIds(completion.sampling);
  ServedVariant::MakeParser parser;
  GenerationRequest out = Generation(completion, variant, std::move(prompt), parser);
  if (in_chat) out.sampling.stop_ids.push_back(variant.end_of_turn());
  return out;
}

ReplyChoice ModelService::Choice(const ApiRequest& request, const ServedVariant& variant,
                                 size_t index, size_t prompt,
                                 const GenerationRequest& generation) const {
  const std::vector<int32_t>& ids = generation.prompt;
  ReplyChoice choice;
  choice.told.index = index;
  choice.told.prompt = prompt;
  choice.told.usage.prompt_tokens = std::ssize(ids);
  choice.told.held = generation.constraint.grammar != nullptr;
  if (request.verbose) {
    const bool chat = request.kind == ApiKind::kChat;
    choice.told.prompt_text = ShownPrompt(
        chat ? ApiPrompt{variant.Render(request)} : request.prompts[prompt], model().tokenizer);
  }
  if (!request.echo) return choice;
  const ApiPrompt& asked = request.prompts[prompt];
  choice.echo = asked.ids.empty() ? asked.text : model().tokenizer.Decode(ids);
  if (generation.prompt_logprobs) choice.first_id = ids.front();
  return choice;
}

void ModelService::CheckPlaces(const ApiRequest& request) const {
  const int64_t prompts = std::max<int64_t>(1, std::ssize(request.prompts));
  const int64_t wanted = prompts * request.best_of;
  if (wanted <= most_) return;
  const std::string of_texts = request.pooling == Pooling::kNone ? "prompt" : "input";
  throw BadValue(prompts > 1                   ? of_texts
                 : request.best_of > request.n ? "best_of"
                                               : request.n_field,
                 Cat("asks for ", wanted, " answers at once; this server has places for ", most_,
                     " (its --parallel and --queue)"));
}

void ModelService::CheckLogprobs(const ApiRequest& request,
                                 const std::vector<std::vector<int32_t>>& prompts) const {
  if (!request.logprobs) return;
  if (request.echo && request.stream && request.best_of > 1)
    throw BadValue(request.n_field, "must be 1 in a stream with 'echo' and 'logprobs'");
  int64_t tokens = 0;
  for (const auto& prompt : prompts) {
    const int64_t size = std::ssize(prompt);
    // A stream keeps none of what it has told.
    if (!request.stream) tokens += std::min(request.sampling.max_tokens, context() - size);
    if (request.echo) tokens += size;
  }
  const int64_t all = tokens * request.best_of * (1 + *request.logprobs);
  if (all <= kMostAnswerLogprobs) return;
  throw BadValue(
      request.logprobs_field,
      Cat("could ask for ", all, " numbers: answers x tokens x (1 + the likeliest ones); ",
          "at most ", kMostAnswerLogprobs, " are told, so lower 'max_tokens', say"));
}

void ModelService::CheckSamplingIds(const SamplingOptions& sampling) const {
  const int64_t vocab = model().model.config.vocab;
  const auto check = [vocab](const char* name, int32_t id) {
    if (id >= vocab)
      throw BadValue(name,
                     Cat("has the token ", id, ", which is not within the vocabulary of ", vocab));
  };
  for (const auto& [id, bias] : sampling.logit_bias) check("logit_bias", id);
  for (const int32_t id : sampling.stop_token_ids) check("stop_token_ids", id);
}

void ModelService::Submit(ServiceJob job) {
  const ApiRequest& request = job.request;
  const std::shared_ptr<const ServedVariant> variant = Find(request.model);
  CheckPlaces(request);
  CheckSamplingIds(request.sampling);
  std::vector<std::vector<int32_t>> prompts = variant->PromptsOf(job.request);
  CheckLogprobs(request, prompts);
  const auto each = static_cast<size_t>(request.best_of);
  if (!job.places->TakeMore(static_cast<int64_t>(prompts.size() * each) - 1)) throw QueueFull();

  std::vector<ReplyChoice> choices;
  std::vector<GenerationRequest> generations;
  choices.reserve(prompts.size() * each), generations.reserve(prompts.size() * each);
  for (size_t prompt = 0; prompt < prompts.size(); ++prompt) {
    ServedVariant::MakeParser parser;
    GenerationRequest one = Generation(request, *variant, std::move(prompts[prompt]), parser);
    for (size_t i = 0; i < each; ++i) {
      choices.push_back(Choice(request, *variant, choices.size(), prompt, one));
      choices.back().parser = parser();
      generations.push_back(one);
      generations.back().sampling.seed += i;
      one.prompt_logprobs = false;  // once for all answers (ServerReply)
    }
  }
  std::optional<ChoiceRule> rule;
  if (request.field_probabilities) rule = ChoicesOf(request, *variant, generations.front());
  const auto tickets =
      std::make_shared<Tickets>(std::shared_ptr<EngineThread>(job.service, &thread_));
  const auto reply = std::make_shared<ServerReply>(
      job.exchange, std::move(job.places), std::move(job.writer), std::move(choices),
      ReplyOptions{job.service, request.stream, request.n,
                   [variant, random = job.seed]() mutable { return variant->CallId(++random); },
                   std::move(job.on_end), [tickets] { tickets->CancelAll(); }, job.since});
  reply->Begin();
  job.exchange->OnGone([tickets] { tickets->CancelAll(); });
  const auto fail = [reply](const std::exception& e) { reply->Fail(e); };
  for (size_t i = 0; i < generations.size(); ++i) {
    generations[i].on_event = [reply, i](const GenerationEvent& event) {
      return reply->OnEvent(i, event);
    };
    if (rule) {
      const auto tell = [reply, i](const GenerationEvent& event, auto fields) {
        if (fields) reply->TakeFields(i, *std::move(fields));
        return reply->OnEvent(i, event);
      };
      const auto scoring = std::make_shared<FieldScoring>(*this, *rule, generations[i], tickets,
                                                          FieldScoring::Client{tell, fail});
      generations[i].on_event = [scoring](const GenerationEvent& event) {
        return scoring->OnEvent(event);
      };
    }
    std::optional<EngineThread::Ticket> ticket;
    try {
      ticket = thread_.Submit(std::move(generations[i]), fail);
    } catch (const std::exception& e) {
      return reply->Fail(e);  // a stream has begun, so it must be told as one
    }
    if (!ticket) return reply->Fail(QueueFull());
    tickets->Add(*ticket);
  }
}

}  // namespace retort
