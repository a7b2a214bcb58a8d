// SPDX-License-Identifier: Apache-2.0
#include "runner/service/reply.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <map>
#include <span>

namespace retort {
namespace {

constexpr double kNotKnown = std::numeric_limits<double>::quiet_NaN();

// Of what was generated, which an echo has behind the prompt's tokens.
double MeanLogprob(const ApiChoice& choice) {
  const auto generated =
      std::min<int64_t>(choice.usage.completion_tokens, std::ssize(choice.tokens));
  double sum = 0;
  for (const TokenLogprobs& token : std::span(choice.tokens).last(static_cast<size_t>(generated)))
    sum += token.logprob;
  return generated == 0 ? -std::numeric_limits<double>::infinity()
                        : sum / static_cast<double>(generated);
}

// The parts of an answer that an event adds.
std::vector<AnswerPart> PartsOf(ReplyChoice& choice, const GenerationEvent& event) {
  std::vector<AnswerPart> parts;
  if (choice.parser) {
    choice.parser->Push(event.text, parts);
    if (event.finish != FinishReason::kNone) choice.parser->Finish(parts);
    return parts;
  }
  std::string text = std::exchange(choice.echo, "") + event.text;
  if (!text.empty()) parts.push_back({AnswerPart::Kind::kContent, std::move(text)});
  return parts;
}

}  // namespace

HttpAnswer ErrorAnswer(const ApiError& error, std::string body) {
  HttpAnswer answer;
  answer.status = error.status;
  answer.body = std::move(body);
  answer.headers = error.headers;
  const auto tells = [](const auto& header) { return header.first == "Retry-After"; };
  if ((error.status == 429 || error.status == 503) && std::ranges::none_of(answer.headers, tells))
    answer.headers.emplace_back("Retry-After", "1");
  return answer;
}

std::unique_ptr<ServerPlaces> ServerPlaces::Take(std::atomic<int64_t>& taken, int64_t count,
                                                 int64_t most) {
  std::unique_ptr<ServerPlaces> places(new ServerPlaces(taken, most));
  return places->TakeMore(count) ? std::move(places) : nullptr;
}

bool ServerPlaces::TakeMore(int64_t count) {
  int64_t taken = taken_;
  do {
    if (taken > most_ - count) return false;
  } while (!taken_.compare_exchange_weak(taken, taken + count));
  count_ += count;
  return true;
}

ServerReply::ServerReply(std::shared_ptr<HttpExchange> exchange,
                         std::unique_ptr<ServerPlaces> places, std::unique_ptr<AnswerWriter> writer,
                         std::vector<ReplyChoice> choices, ReplyOptions options)
    : options_(std::move(options)),
      exchange_(std::move(exchange)),
      places_(std::move(places)),
      writer_(std::move(writer)),
      choices_(std::move(choices)),
      left_(choices_.size()) {}

ServerReply::~ServerReply() {
  if (!over_) Report(kClientClosed, "the client has gone", Answer());
}

void ServerReply::Begin() {
  if (!options_.stream) return;
  const std::lock_guard lock(mutex_);
  HttpStream stream;
  stream.content_type = writer_->stream_type();
  stream.ping = writer_->Ping();
  std::string begin = writer_->Begin(Answer());
  stream.last_words = writer_->Failed(ApiError(503, "the server is stopping"));
  exchange_->Begin(std::move(stream));
  if (!begin.empty()) exchange_->Send(std::move(begin));
}

bool ServerReply::OnEvent(size_t index, const GenerationEvent& event) {
  const std::lock_guard lock(mutex_);
  if (over_) return false;
  ReplyChoice& choice = choices_[index];
  ApiChoice& told = choice.told;
  if (event.read_tokens >= 0) {
    TellReading(told, event);
    return true;
  }
  told.finish = event.finish;
  if (event.finish == FinishReason::kCancelled) {
    FailNow(ApiError(500, "the answer was not finished"));
    return false;
  }
  if (first_token_ == 0)
    first_token_ =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - options_.since).count();
  if (told.timings.first_token == 0) told.timings.first_token = event.seconds;
  told.timings.last_token = event.seconds;
  told.usage.completion_tokens += std::ssize(event.ids);
  told.ids.insert(told.ids.end(), event.ids.begin(), event.ids.end());
  told.usage.reused_tokens = event.reused_tokens;
  told.drafted_tokens = event.drafted_tokens;
  told.accepted_tokens = event.accepted_tokens;
  told.watched.tokens += event.watched.tokens;
  told.watched.logprob += event.watched.logprob;
  told.stop_text = event.stop_text;
  told.embedding = event.embedding;
  const int32_t first_id = std::exchange(choice.first_id, -1);
  if (first_id >= 0) choice.untold.push_back({first_id, kNotKnown, {}});
  for (const auto* tokens : {&event.prompt_logprobs, &event.logprobs})
    choice.untold.insert(choice.untold.end(), tokens->begin(), tokens->end());

  Tell(choice, PartsOf(choice, event));
  if (told.finish == FinishReason::kNone && choice.parser && choice.parser->ended())
    told.finish = FinishReason::kStop;
  const bool ends = told.finish != FinishReason::kNone;
  if (ends) {
    if (options_.stream) out_ += writer_->EndOfChoice(told, choice.untold);
    KeepTokens(choice);
    if (--left_ == 0) End();
  }
  if (!out_.empty()) exchange_->Send(std::exchange(out_, ""));
  if (over_ && options_.stream) exchange_->End();
  return !ends;
}

void ServerReply::TakeFields(size_t choice, std::vector<FieldChoice> fields) {
  const std::lock_guard lock(mutex_);
  choices_[choice].told.fields = std::move(fields);
}

void ServerReply::TellReading(const ApiChoice& choice, const GenerationEvent& event) {
  ApiChoice read = choice;
  read.usage = {event.read_tokens, 0, event.reused_tokens};
  read.timings = {event.seconds, event.seconds};
  std::string told = writer_->Reading(read, choice.usage.prompt_tokens);
  if (!told.empty()) exchange_->Send(std::move(told));
}

void ServerReply::Tell(ReplyChoice& choice, const std::vector<AnswerPart>& parts) {
  ApiChoice& told = choice.told;
  for (const AnswerPart& part : parts) {
    Gather(told, part);
    if (options_.stream) out_ += writer_->Said(told, part, choice.untold);
    KeepTokens(choice);
  }
}

// A stream has told them.
void ServerReply::KeepTokens(ReplyChoice& choice) const {
  if (!options_.stream) std::ranges::move(choice.untold, std::back_inserter(choice.told.tokens));
  choice.untold.clear();
}

void ServerReply::Gather(ApiChoice& choice, const AnswerPart& part) {
  ApiMessage& said = choice.said;
  switch (part.kind) {
    case AnswerPart::Kind::kContent:
      said.content += part.text;
      break;
    case AnswerPart::Kind::kThought:
      said.thought += part.text;
      break;
    case AnswerPart::Kind::kCall:
      said.calls.push_back({options_.call_ids(), part.text, ""});
      break;
    case AnswerPart::Kind::kArguments:
      said.calls.back().arguments += part.text;
  }
}

ApiAnswer ServerReply::Answer() const {
  ApiAnswer answer;
  answer.choices.reserve(choices_.size());
  for (const ReplyChoice& choice : choices_) answer.choices.push_back(choice.told);
  return answer;
}

void ServerReply::End() {
  // Written first: an answer that cannot be written is a failed one, and is told as such.
  ApiAnswer answer = Answer();
  HttpAnswer whole;
  if (options_.stream) {
    out_ += writer_->End(answer);
  } else {
    ShareScores(answer);
    const ApiUsage usage = answer.Usage();
    KeepLikeliest(answer);
    answer.untold_tokens = usage.completion_tokens - answer.Usage().completion_tokens;
    whole.body = writer_->Whole(answer);
  }
  places_.reset();  // whoever reads the answer can ask again
  Report(200, "", std::move(answer));
  if (!options_.stream) exchange_->Answer(std::move(whole));
}

// A prompt's tokens are scored for the first of its answers alone.
void ServerReply::ShareScores(ApiAnswer& answer) {
  const ApiChoice* first = nullptr;
  for (ApiChoice& choice : answer.choices) {
    if (!first || first->prompt != choice.prompt) {
      first = &choice;
      continue;
    }
    const int64_t scored = std::ssize(first->tokens) - first->usage.completion_tokens;
    if (scored > 0)
      choice.tokens.insert(choice.tokens.begin(), first->tokens.begin(),
                           first->tokens.begin() + scored);
  }
}

void ServerReply::KeepLikeliest(ApiAnswer& answer) const {
  const auto first = [](const ApiChoice& choice) { return choice.prompt == 0; };
  if (std::ranges::count_if(answer.choices, first) <= options_.told) return;
  std::ranges::stable_sort(answer.choices, [](const ApiChoice& a, const ApiChoice& b) {
    return a.prompt != b.prompt ? a.prompt < b.prompt : MeanLogprob(a) > MeanLogprob(b);
  });
  std::map<size_t, int64_t> kept;
  std::erase_if(answer.choices,
                [&](const ApiChoice& choice) { return ++kept[choice.prompt] > options_.told; });
  for (size_t i = 0; i < answer.choices.size(); ++i) answer.choices[i].index = i;
}

void ServerReply::Report(int status, const std::string& error, ApiAnswer answer) {
  over_ = true;
  if (options_.on_end) options_.on_end({status, error, std::move(answer), first_token_});
}

void ServerReply::Fail(const std::exception& reason) { Fail(ApiErrorOf(reason)); }

void ServerReply::Fail(const ApiError& error) {
  const std::lock_guard lock(mutex_);
  FailNow(error);
}

void ServerReply::FailNow(const ApiError& error) {
  if (over_) return;
  places_.reset();
  if (options_.cancel) options_.cancel();
  Report(error.status, error.what(), Answer());
  if (!options_.stream) return exchange_->Answer(ErrorAnswer(error, writer_->ErrorBody(error)));
  exchange_->Send(writer_->Failed(error));
  exchange_->End();
}

}  // namespace retort
