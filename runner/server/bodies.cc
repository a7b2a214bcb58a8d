// SPDX-License-Identifier: Apache-2.0
// What becomes of a request whose body is there, on a thread of the server's work.
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "runner/api/error.h"
#include "runner/program/program_run.h"
#include "runner/server/reload_endpoint.h"
#include "runner/server/state.h"

namespace retort {

void ServerState::Refuse(PendingRequest& pending, const ApiError& error) {
  pending.place.reset();
  records.Ended(*pending.answered, {error.status, error.what(), {}, 0});
  pending.exchange->Answer(ErrorAnswer(error, ErrorBodyOf(pending.route.endpoint->dialect, error)));
}

void ServerState::Finish(PendingRequest& pending, const Json& answer) {
  records.Ended(*pending.answered, {200, "", {}, 0});
  pending.exchange->Answer(JsonAnswer(answer));
}

void ServerState::Read(const std::shared_ptr<PendingRequest>& request) {
  PendingRequest& pending = *request;
  if (pending.exchange->gone()) {
    pending.place.reset();
    return records.Ended(*pending.answered, {kClientClosed, "the client has gone", {}, 0});
  }
  try {
    std::get<BodyHandler>(pending.route.endpoint->handler)(*this, request);
  } catch (const std::exception& e) {
    Refuse(pending, ApiErrorOf(e));
  }
}

void ServerState::Reload(const std::shared_ptr<PendingRequest>& pending) {
  current.Reload([this, pending](const ReloadOutcome& outcome) {
    if (outcome.kind == ReloadOutcome::Kind::kReplaced) records.drift.OnNewModel();
    work.Post(false, [this, pending, outcome] {
      if (pending) TellReload(*pending, outcome);
      options.reload.on_reload(NoteOf(outcome, current.Get()->model().name));
    });
  });
}

void ServerState::TellReload(PendingRequest& pending, const ReloadOutcome& outcome) {
  if (outcome.kind == ReloadOutcome::Kind::kFailed)
    return Refuse(pending, ApiError(500, "the model is kept as it was: " + outcome.fault));
  Json answer = info.Model(std::nullopt);
  answer["reloaded"] = outcome.kind == ReloadOutcome::Kind::kReplaced;
  Finish(pending, answer);
}

void ServerState::Submit(PendingRequest& pending, JobReader read) {
  ServiceJob job;
  job.service = current.Get();
  ModelService& service = *job.service;
  job.seed = pending.seed;
  job.since = pending.answered->begun;
  const ApiAnswerHead head{pending.answer_id, SecondsSince1970(), {}, {}};
  read(pending.http->body, head, service, job);
  pending.http.reset();  // its body's memory
  job.exchange = pending.exchange;
  job.places = std::move(pending.place);
  LoggedRequest& logged = pending.answered->logged;
  logged.model = job.request.model.value_or(service.model().name);
  logged.stream = job.request.stream;
  if (records.log.has_text()) logged.prompt = PromptText(job.request);
  job.on_end = AtEndOf(pending);
  service.Submit(std::move(job));
}

void ServerState::Start(PendingRequest& pending) {
  const bool is_long = pending.http->body.size() > kLongBody;
  ProgramJob job;
  job.service = current.Get();
  const ModelService& service = *job.service;
  job.program = ReadProgram(pending.http->body, pending.seed, service.context());
  job.variant = service.Find(job.program.model);
  job.head = {pending.answer_id, SecondsSince1970(), job.variant->name(),
              job.variant->fingerprint()};
  job.exchange = pending.exchange;
  job.places = std::move(pending.place);
  job.since = pending.answered->begun;
  job.on_end = AtEndOf(pending);
  job.post = [this, is_long](std::function<void()> next) { work.Post(is_long, std::move(next)); };
  LoggedRequest& logged = pending.answered->logged;
  logged.model = job.variant->name();
  if (records.log.has_text()) {
    logged.prompt = job.program.is_chat ? PromptText(job.program.chat) : BeginningText(job.program);
  }
  StartProgram(std::move(job));
}

std::function<void(const ReplyOutcome& outcome)> ServerState::AtEndOf(
    const PendingRequest& pending) {
  return [this, answered = pending.answered](const ReplyOutcome& outcome) {
    records.Ended(*answered, outcome);
  };
}

}  // namespace retort
