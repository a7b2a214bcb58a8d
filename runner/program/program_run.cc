// SPDX-License-Identifier: Apache-2.0
#include "runner/program/program_run.h"

#include <algorithm>
#include <deque>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/random.h"
#include "base/strings.h"
#include "base/text.h"
#include "runner/openai_answer.h"
#include "runner/program/program_line.h"
#include "runner/tickets.h"

namespace retort {
namespace {

constexpr int64_t kMostWidth = 32;     // pieces at once
constexpr int64_t kMostContexts = 16;  // of prompts' tokens, where each piece reads all of its own

// An error whose text names the step.
struct StepError : ApiError {
  StepError(const ProgramStep& step, const ApiError& error)
      : ApiError(error.status, Cat("'", step.where, "': ", error.what()), step.where, error.code) {}
};

ApiError ErrorOf(const std::exception& reason) {
  if (const auto* api = dynamic_cast<const ApiError*>(&reason)) return *api;
  const auto* error = dynamic_cast<const Error*>(&reason);
  return ApiError(error && error->kind() == Error::Kind::kInput ? 400 : 500, reason.what());
}

// Does it, and names the step in what is thrown.
void InStep(const ProgramStep& step, const std::function<void()>& work) {
  try {
    work();
  } catch (const StepError&) {
    throw;
  } catch (const std::exception& e) {
    throw StepError(step, ErrorOf(e));
  }
}

// Does it, and names the prompt in what is thrown.
void InPrompt(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& e) {
    if (e.kind() != Error::Kind::kInput) throw;
    throw ApiError(400, Cat("'prompt': ", e.what()), "prompt", "invalid_value");
  }
}

std::vector<Segment> PromptOf(const Program& program) {
  return program.prompt.Render(
      [&](const std::string& name) -> const std::string& { return program.variables.at(name); });
}

// The prompt behind BOS, if the model's files want one.
std::vector<int32_t> BeginningOf(const Program& program, const ModelService& service) {
  const Tokenizer& tokenizer = service.model().tokenizer;
  auto ids =
      tokenizer.EncodeAtMost(PromptOf(program), false, static_cast<size_t>(service.context()));
  if (!ids) {
    throw ApiError(400, Cat("the prompt has no room in the context of ", service.context()),
                   "prompt", "context_length_exceeded");
  }
  const TokenizerSpec& spec = tokenizer.spec();
  if (spec.add_bos && spec.bos >= 0) ids->insert(ids->begin(), spec.bos);
  return *std::move(ids);
}

}  // namespace

class ProgramRun : public std::enable_shared_from_this<ProgramRun> {
 public:
  ProgramRun(ModelService& service, ProgramJob job)
      : service_(service), job_(std::move(job)), tickets_(service.engine()) {}
  // Tells of a client that has gone before the end.
  ~ProgramRun() {
    if (!over_) Report(kClientClosed, "the client has gone");
  }

  void Begin(std::vector<int32_t> ids);
  void Cancel() { tickets_.CancelAll(); }

 private:
  // Does it, and ends the program with what is thrown.
  void Guarded(const std::function<void()>& work);
  void Advance(ProgramLine& line);
  // False: the line goes on when an answer is there.
  bool Do(ProgramLine& line, const ProgramStep& step);
  void GoOn(ProgramLine& line) {
    ++line.next;
    Advance(line);
  }
  void Generate(ProgramLine& line, const ProgramStep& step);
  void TakeSaid(ProgramLine& line, const ProgramStep& step, const ProgramPiece& piece);
  void Select(ProgramLine& line, const ProgramStep& step);
  void TakeChosen(ProgramLine& line, const ProgramStep& step);
  void Branch(ProgramLine& line, const ProgramStep& step);
  void Join(ProgramLine& line, const ProgramStep& step);
  void Gather(ProgramLine& line, const ProgramStep& step);
  void Append(ProgramLine& line, const std::vector<Segment>& segments);
  // Null: there is none.
  const std::string* Find(const ProgramLine& line, const std::string& name) const;
  const std::string& ValueOf(const ProgramLine& line, const std::string& name) const;
  uint64_t SeedOf(const ProgramLine& line, const ProgramStep& step) const;

  void Submit(const std::shared_ptr<ProgramPiece>& piece);
  void StartWaiting();
  void Start(const std::shared_ptr<ProgramPiece>& piece);
  void Take(ProgramPiece& piece);

  void End();
  void Fail(const ApiError& error);
  void Report(int status, const std::string& error);
  // As far as it has come.
  ApiAnswer Answer() const;

  ModelService& service_;
  ProgramJob job_;
  Tickets tickets_;
  std::mutex mutex_;
  ProgramLine line_;
  std::deque<std::shared_ptr<ProgramPiece>> waiting_;
  std::vector<std::shared_ptr<ProgramPiece>> started_;
  int64_t running_ = 0;        // those of `started_` that have not ended
  int64_t prompt_tokens_ = 0;  // of those of `started_`
  double first_piece_ = 0;
  bool over_ = false;
};

void ProgramRun::Guarded(const std::function<void()>& work) {
  const std::lock_guard lock(mutex_);
  if (over_) return;
  try {
    work();
  } catch (const std::exception& e) {
    Fail(ErrorOf(e));
  }
}

void ProgramRun::Begin(std::vector<int32_t> ids) {
  Guarded([&] {
    line_.steps = &job_.program.steps;
    line_.ids = std::move(ids);
    line_.then = [this] { End(); };
    Advance(line_);
  });
}

// The line may be gone when this returns: its end is its outer line's next step.
void ProgramRun::Advance(ProgramLine& line) {
  for (; line.next < line.steps->size(); ++line.next) {
    const ProgramStep& step = (*line.steps)[line.next];
    bool goes_on = false;
    InStep(step, [&] { goes_on = Do(line, step); });
    if (!goes_on) return StartWaiting();
  }
  const std::function<void()> then = line.then;  // which may destroy the line
  then();
}

bool ProgramRun::Do(ProgramLine& line, const ProgramStep& step) {
  switch (step.kind) {
    case ProgramStep::Kind::kText:
      Append(line, step.text.Render([&](const std::string& name) -> const std::string& {
        return ValueOf(line, name);
      }));
      return true;
    case ProgramStep::Kind::kGather:
      Gather(line, step);
      return true;
    case ProgramStep::Kind::kGenerate:
      Generate(line, step);
      return false;
    case ProgramStep::Kind::kSelect:
      Select(line, step);
      return false;
    case ProgramStep::Kind::kBranch:
      Branch(line, step);
      return false;
  }
  return true;
}

void ProgramRun::Append(ProgramLine& line, const std::vector<Segment>& segments) {
  const int64_t room = service_.context() - std::ssize(line.ids);
  const auto ids = service_.model().tokenizer.EncodeAtMost(
      segments, true, static_cast<size_t>(std::max<int64_t>(0, room)));
  if (!ids) {
    throw ApiError(400, Cat("the text has no room in the context of ", service_.context()), "",
                   "context_length_exceeded");
  }
  line.ids.insert(line.ids.end(), ids->begin(), ids->end());
  for (const Segment& segment : segments) line.text += segment.text;
}

void ProgramRun::Gather(ProgramLine& line, const ProgramStep& step) {
  for (size_t i = 0; i < step.gathered; ++i) {
    const std::string begin = Cat(step.name, ".", i, ".");
    Append(line, step.text.Render([&](const std::string& name) -> const std::string& {
      const std::string* of_branch = Find(line, begin + name);
      return of_branch ? *of_branch : ValueOf(line, name);
    }));
  }
}

const std::string* ProgramRun::Find(const ProgramLine& line, const std::string& name) const {
  for (const ProgramLine* at = &line; at; at = at->outer) {
    const auto own = at->variables.find(name);
    if (own != at->variables.end()) return &own->second;
  }
  const auto given = job_.program.variables.find(name);
  return given != job_.program.variables.end() ? &given->second : nullptr;
}

const std::string& ProgramRun::ValueOf(const ProgramLine& line, const std::string& name) const {
  const std::string* value = Find(line, name);
  RETORT_CHECK(value, "a text names what no step has made");
  return *value;
}

// A step's own seed is that of the first branch, as a request's is that of its first answer.
uint64_t ProgramRun::SeedOf(const ProgramLine& line, const ProgramStep& step) const {
  if (step.own_seed) return step.generate.sampling.seed + line.number;
  return NameKey(Cat(job_.program.seed, " ", step.where, " ", line.number));
}

void ProgramRun::Generate(ProgramLine& line, const ProgramStep& step) {
  const auto request = [this, &line, &step] {
    ApiRequest completion = step.generate;
    completion.sampling.seed = SeedOf(line, step);
    return service_.GenerationOf(completion, *job_.variant, line.ids, job_.program.is_chat);
  };
  const auto then = [this, &line, &step](const ProgramPiece& said) { TakeSaid(line, step, said); };
  Submit(std::make_shared<ProgramPiece>(step, request, then));
}

void ProgramRun::TakeSaid(ProgramLine& line, const ProgramStep& step, const ProgramPiece& piece) {
  const std::string& text = piece.told.said.content;
  if (piece.told.stop_text.empty()) {
    line.ids.insert(line.ids.end(), piece.ids.begin(), piece.ids.end());
    line.text += text;
  } else {
    Append(line, {{text, false}});  // without the tokens that the stop text stood in
  }
  line.variables[step.name] = text;
  line.told.push_back(SaidJson(step, piece.told));
  GoOn(line);
}

void ProgramRun::Select(ProgramLine& line, const ProgramStep& step) {
  constexpr size_t kMostTokens = 256;  // of a choice
  if (line.ids.empty())
    throw ApiError(400, "there is no text before the choices; begin the program with a 'prompt'");
  line.labels.clear();
  line.labels.reserve(step.choices.size());
  for (const std::string& choice : step.choices) {
    auto ids = service_.model().tokenizer.EncodeAtMost({{choice, false}, {step.suffix, true}}, true,
                                                       kMostTokens);
    if (!ids || ids->empty()) {
      throw ApiError(400, Cat("the choice ", Quoted(choice), " with its suffix must have 1 to ",
                              kMostTokens, " tokens"));
    }
    line.labels.push_back(*std::move(ids));
  }
  CheckNoneBeginsAnother(line.labels, step.choices);
  line.selection.emplace(line.ids, line.labels);
  line.left = line.selection->streams();
  for (size_t i = 0; i < line.selection->streams(); ++i) {
    const auto request = [this, &line, i] {
      GenerationRequest scored = line.selection->Request(i);
      scored.adapter = job_.variant->adapter();
      return scored;
    };
    const auto then = [this, &line, &step, i](const ProgramPiece& read) {
      line.selection->Take(i, read.scores);
      if (--line.left == 0) TakeChosen(line, step);
    };
    const auto piece = std::make_shared<ProgramPiece>(step, request, then);
    piece->told.scored = true;
    Submit(piece);
  }
}

void ProgramRun::TakeChosen(ProgramLine& line, const ProgramStep& step) {
  const std::vector<double> logprobs = line.selection->LogProbabilities();
  const auto best = static_cast<size_t>(std::ranges::max_element(logprobs) - logprobs.begin());
  line.told.push_back(ChosenJson(step, logprobs, best));
  line.ids.insert(line.ids.end(), line.labels[best].begin(), line.labels[best].end());
  line.text += step.choices[best] + step.suffix;
  line.variables[step.name] = step.choices[best];
  GoOn(line);
}

void ProgramRun::Branch(ProgramLine& line, const ProgramStep& step) {
  const size_t count = step.branches.size();
  line.branches.clear();
  line.left = count;
  for (size_t i = 0; i < count; ++i) {
    auto branch = std::make_unique<ProgramLine>();
    branch->steps = step.branches[i].steps.get();
    branch->outer = &line;
    branch->number = line.number * kMostProgramBranches + i;
    branch->ids = line.ids;
    branch->variables = step.branches[i].variables;
    branch->then = [this, &line, &step] {
      if (--line.left == 0) Join(line, step);
    };
    line.branches.push_back(std::move(branch));
  }
  // The last one's end goes on with the line, which may come to another branch step.
  for (size_t i = 0; i < count; ++i) Advance(*line.branches[i]);
}

void ProgramRun::Join(ProgramLine& line, const ProgramStep& step) {
  for (size_t i = 0; i < line.branches.size(); ++i) {
    for (auto& [name, value] : line.branches[i]->variables)
      line.variables[Cat(step.name, ".", i, ".", name)] = std::move(value);
  }
  line.told.push_back(JoinedJson(step, line.branches));
  GoOn(line);
}

void ProgramRun::Submit(const std::shared_ptr<ProgramPiece>& piece) {
  piece->told.index = piece->told.prompt = started_.size() + waiting_.size();
  waiting_.push_back(piece);
}

void ProgramRun::StartWaiting() {
  while (!over_ && !waiting_.empty() && running_ < kMostWidth) {
    auto place = job_.places ? std::move(job_.places) : service_.TakePlace();
    if (!place) return;
    waiting_.front()->place = std::move(place);
    ++running_;
    started_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
    InStep(started_.back()->step, [this] { Start(started_.back()); });
  }
}

void ProgramRun::Start(const std::shared_ptr<ProgramPiece>& piece) {
  const auto self = shared_from_this();
  GenerationRequest request = piece->request();
  piece->told.usage.prompt_tokens = std::ssize(request.prompt);
  piece->told.held = request.constraint.grammar != nullptr;
  prompt_tokens_ += piece->told.usage.prompt_tokens;
  if (!service_.keeps_prefixes() && prompt_tokens_ > kMostContexts * service_.context()) {
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
    self->job_.post([self, error = StepError(piece->step, ErrorOf(e))] {
      self->Guarded([&] { throw StepError(error); });
    });
  };
  const auto ticket = service_.engine().Submit(std::move(request), failed);
  if (!ticket) throw QueueFull();
  tickets_.Add(*ticket);
}

void ProgramRun::Take(ProgramPiece& piece) {
  --running_;
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

void ProgramRun::End() {
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

void ProgramRun::Fail(const ApiError& error) {
  job_.places.reset();
  for (const auto& piece : started_) piece->place.reset();
  waiting_.clear();
  tickets_.CancelAll();
  Report(error.status, error.what());
  job_.exchange->Answer(ErrorAnswer(error, ApiErrorBody(error)));
}

void ProgramRun::Report(int status, const std::string& error) {
  over_ = true;
  if (job_.on_end) job_.on_end({status, error, Answer(), first_piece_, line_.text});
}

ApiAnswer ProgramRun::Answer() const {
  ApiAnswer answer;
  answer.choices.reserve(started_.size());
  for (const auto& piece : started_) answer.choices.push_back(piece->Told());
  return answer;
}

std::string BeginningText(const Program& program) {
  std::string text;
  InPrompt([&] {
    for (const Segment& segment : PromptOf(program)) text += segment.text;
  });
  return text;
}

void StartProgram(ModelService& service, ProgramJob job) {
  Program& program = job.program;
  std::vector<int32_t> ids;
  InPrompt([&] {
    ids = program.is_chat ? job.variant->PromptsOf(program.chat).front()
                          : BeginningOf(program, service);
  });
  const auto exchange = job.exchange;
  const auto run = std::make_shared<ProgramRun>(service, std::move(job));
  exchange->OnGone([weak = std::weak_ptr(run)] {
    if (const auto still = weak.lock()) still->Cancel();
  });
  run->Begin(std::move(ids));
}

}  // namespace retort
