// SPDX-License-Identifier: Apache-2.0
#include "runner/program/running_program.h"

#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "runner/api/openai/answer.h"
#include "runner/program/step_error.h"

namespace retort {
namespace {

constexpr int64_t kMostPieces = 32;    // pieces at once
constexpr int64_t kMostContexts = 16;  // of prompts' tokens, where each piece reads all of its own

}  // namespace

RunningProgram::RunningProgram(ProgramJob job)
    : job_(std::move(job)), service_(*job_.service), tickets_({job_.service, &service_.engine()}) {}

RunningProgram::~RunningProgram() {
  if (!over_) Report(kClientClosed, "the client has gone");
}

void RunningProgram::Guarded(const std::function<void()>& work) {
  const std::lock_guard lock(mutex_);
  if (over_) return;
  try {
    work();
  } catch (const std::exception& e) {
    Fail(ApiErrorOf(e));
  }
}

void RunningProgram::Begin(std::vector<int32_t> ids) {
  Guarded([&] {
    line_.steps = &job_.program.steps;
    line_.ids = std::move(ids);
    line_.then = [this] { End(); };
    Advance(line_);
  });
}

void RunningProgram::Submit(const std::shared_ptr<ProgramPiece>& piece) {
  piece->told.index = piece->told.prompt = started_.size() + waiting_.size();
  waiting_.push_back(piece);
}

void RunningProgram::StartWaiting() {
  while (!over_ && !waiting_.empty() && running_ < kMostPieces) {
    auto place = job_.places ? std::move(job_.places) : service_.TakePlace();
    if (!place) return;
    waiting_.front()->place = std::move(place);
    ++running_;
    started_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
    InStep(started_.back()->step, [this] { Start(started_.back()); });
  }
}

void RunningProgram::Start(const std::shared_ptr<ProgramPiece>& piece) {
  const auto self = shared_from_this();
  GenerationRequest request = piece->request();
  piece->told.usage.prompt_tokens = std::ssize(request.prompt);
  piece->told.held = request.constraint.grammar != nullptr;
  if (!service_.keeps_prefixes()) read_tokens_ += piece->told.usage.prompt_tokens;
  if (read_tokens_ > kMostContexts * service_.context()) {
    throw ApiError(400, Cat("the program's pieces have more than ", kMostContexts,
                            " contexts of tokens before them, and this server reads them anew for "
                            "each piece; ask in several requests"));
  }
  request.on_event = [self, piece](const GenerationEvent& event) {
    piece->Take(event);
    if (event.finish != FinishReason::kNone) {
      self->job_.post([self, piece] { self->Guarded([&] { self->Take(*piece); }); });
    }
    return true;
  };
  const auto failed = [self, piece](const std::exception& e) {
    self->job_.post([self, error = StepError(piece->step, ApiErrorOf(e))] {
      self->Guarded([&] { throw StepError(error); });
    });
  };
  const auto ticket = service_.engine().Submit(std::move(request), failed);
  if (!ticket) throw QueueFull();
  tickets_.Add(*ticket);
}

void RunningProgram::Take(ProgramPiece& piece) {
  --running_;
  const ApiUsage& usage = piece.told.usage;
  if (service_.keeps_prefixes()) read_tokens_ += usage.prompt_tokens - usage.reused_tokens;
  // The program keeps one place, for what comes next.
  if (job_.places)
    piece.place.reset();
  else
    job_.places = std::move(piece.place);
  if (first_piece_ == 0) {
    first_piece_ =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - job_.since).count();
  }
  InStep(piece.step, [&] { piece.then(piece); });
  StartWaiting();
}

void RunningProgram::End() {
  const ApiAnswerHead& head = job_.head;
  Json variables = Json::object();
  for (const auto& [name, value] : line_.variables) {
    if (IsVariableName(name)) variables[name] = value;
  }
  HttpAnswer whole;
  whole.body = DumpJson({{"id", "program-" + head.id},
                         {"object", "program"},
                         {"created", head.created},
                         {"model", head.model},
                         {"system_fingerprint", head.fingerprint},
                         {"text", line_.text},
                         {"variables", std::move(variables)},
                         {"steps", std::move(line_.told)},
                         {"usage", UsageJson(Answer().Usage())}});
  job_.places.reset();  // whoever reads the answer can ask again
  Report(200, "");
  job_.exchange->Answer(std::move(whole));
}

void RunningProgram::Fail(const ApiError& error) {
  job_.places.reset();
  for (const auto& piece : started_) piece->place.reset();
  waiting_.clear();
  tickets_.CancelAll();
  Report(error.status, error.what());
  job_.exchange->Answer(ErrorAnswer(error, ApiErrorBody(error)));
}

void RunningProgram::Report(int status, const std::string& error) {
  over_ = true;
  if (job_.on_end) job_.on_end({status, error, Answer(), first_piece_, line_.text});
}

ApiAnswer RunningProgram::Answer() const {
  ApiAnswer answer;
  answer.choices.reserve(started_.size());
  for (const auto& piece : started_) answer.choices.push_back(piece->Told());
  return answer;
}

}  // namespace retort
