// SPDX-License-Identifier: Apache-2.0
// What each kind of step does.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/random.h"
#include "base/strings.h"
#include "base/text.h"
#include "runner/api/error.h"
#include "runner/api/request.h"
#include "runner/program/running_program.h"
#include "runner/program/step_error.h"

namespace retort {

// The line may be gone when this returns: its end is its outer line's next step.
void RunningProgram::Advance(ProgramLine& line) {
  for (; line.next < line.steps->size(); ++line.next) {
    const ProgramStep& step = (*line.steps)[line.next];
    bool goes_on = false;
    InStep(step, [&] { goes_on = Do(line, step); });
    if (!goes_on) return StartWaiting();
  }
  const std::function<void()> then = line.then;  // which may destroy the line
  then();
}

bool RunningProgram::Do(ProgramLine& line, const ProgramStep& step) {
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

void RunningProgram::Append(ProgramLine& line, const std::vector<Segment>& segments) {
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

void RunningProgram::Gather(ProgramLine& line, const ProgramStep& step) {
  for (size_t i = 0; i < step.gathered; ++i) {
    const std::string begin = Cat(step.name, ".", i, ".");
    Append(line, step.text.Render([&](const std::string& name) -> const std::string& {
      const std::string* of_branch = Find(line, begin + name);
      return of_branch ? *of_branch : ValueOf(line, name);
    }));
  }
}

const std::string* RunningProgram::Find(const ProgramLine& line, const std::string& name) const {
  for (const ProgramLine* at = &line; at; at = at->outer) {
    const auto own = at->variables.find(name);
    if (own != at->variables.end()) return &own->second;
  }
  const auto given = job_.program.variables.find(name);
  return given != job_.program.variables.end() ? &given->second : nullptr;
}

const std::string& RunningProgram::ValueOf(const ProgramLine& line, const std::string& name) const {
  const std::string* value = Find(line, name);
  RETORT_CHECK(value, "a text names what no step has made");
  return *value;
}

// A step's own seed is that of the first branch, as a request's is that of its first answer.
uint64_t RunningProgram::SeedOf(const ProgramLine& line, const ProgramStep& step) const {
  if (step.own_seed) return step.generate.sampling.seed + line.number;
  return NameKey(Cat(job_.program.seed, " ", step.where, " ", line.number));
}

void RunningProgram::Generate(ProgramLine& line, const ProgramStep& step) {
  const auto request = [this, &line, &step] {
    ApiRequest completion = step.generate;
    completion.sampling.seed = SeedOf(line, step);
    return service_.GenerationOf(completion, *job_.variant, line.ids, job_.program.is_chat);
  };
  const auto then = [this, &line, &step](const ProgramPiece& said) { TakeSaid(line, step, said); };
  Submit(std::make_shared<ProgramPiece>(step, request, then));
}

void RunningProgram::TakeSaid(ProgramLine& line, const ProgramStep& step,
                              const ProgramPiece& piece) {
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

void RunningProgram::Select(ProgramLine& line, const ProgramStep& step) {
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
  line.selection.emplace(std::ssize(line.ids), line.labels);
  line.left = line.selection->streams();
  for (size_t i = 0; i < line.selection->streams(); ++i) {
    const auto request = [this, &line, i] {
      GenerationRequest scored = line.selection->Request(i, line.ids);
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

void RunningProgram::TakeChosen(ProgramLine& line, const ProgramStep& step) {
  const std::vector<double> logprobs = line.selection->LogProbabilities();
  const auto best = static_cast<size_t>(std::ranges::max_element(logprobs) - logprobs.begin());
  line.told.push_back(ChosenJson(step, logprobs, best));
  line.ids.insert(line.ids.end(), line.labels[best].begin(), line.labels[best].end());
  line.text += step.choices[best] + step.suffix;
  line.variables[step.name] = step.choices[best];
  GoOn(line);
}

void RunningProgram::Branch(ProgramLine& line, const ProgramStep& step) {
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

void RunningProgram::Join(ProgramLine& line, const ProgramStep& step) {
  for (size_t i = 0; i < line.branches.size(); ++i) {
    for (auto& [name, value] : line.branches[i]->variables)
      line.variables[Cat(step.name, ".", i, ".", name)] = std::move(value);
  }
  line.told.push_back(JoinedJson(step, line.branches));
  GoOn(line);
}

}  // namespace retort
