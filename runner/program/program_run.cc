// SPDX-License-Identifier: Apache-2.0
#include "runner/program/program_run.h"

#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "runner/program/running_program.h"

namespace retort {
namespace {

// Does it, and names the prompt in what is thrown.
void InPrompt(const std::function<void()>& work) {
  const auto refusal = [](const std::string& what) {
    return ApiError(400, Cat("'prompt': ", what), "prompt", "invalid_value");
  };
  WithInputErrorsAs(refusal, work);
}

std::vector<Segment> PromptOf(const Program& program) {
  return program.prompt.Render(
      [&](const std::string& name) -> const std::string& { return program.variables.at(name); });
}

// The prompt behind BOS, if the model's files want one.
std::vector<int32_t> BeginningOf(const Program& program, const ModelService& service) {
  auto ids = service.model().tokenizer.EncodePromptAtMost(PromptOf(program),
                                                          static_cast<size_t>(service.context()));
  if (!ids) {
    throw ApiError(400, Cat("the prompt has no room in the context of ", service.context()),
                   "prompt", "context_length_exceeded");
  }
  return *std::move(ids);
}

}  // namespace

std::string BeginningText(const Program& program) {
  std::string text;
  InPrompt([&] {
    for (const Segment& segment : PromptOf(program)) text += segment.text;
  });
  return text;
}

void StartProgram(ProgramJob job) {
  Program& program = job.program;
  std::vector<int32_t> ids;
  InPrompt([&] {
    ids = program.is_chat ? job.variant->PromptsOf(program.chat).front()
                          : BeginningOf(program, *job.service);
  });
  const auto exchange = job.exchange;
  const auto run = std::make_shared<RunningProgram>(std::move(job));
  exchange->OnGone([weak = std::weak_ptr(run)] {
    if (const auto still = weak.lock()) still->Cancel();
  });
  run->Begin(std::move(ids));
}

}  // namespace retort
