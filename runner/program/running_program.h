// SPDX-License-Identifier: Apache-2.0
// A program under way: its lines of steps, and the pieces of them that the engine answers.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "runner/api/error.h"
#include "runner/engine/tickets.h"
#include "runner/program/program_line.h"
#include "runner/program/program_run.h"

namespace retort {

// Thread-safe. It lives as long as the engine or a job has something of it.
class RunningProgram : public std::enable_shared_from_this<RunningProgram> {
 public:
  explicit RunningProgram(ProgramJob job);
  // Tells of a client that has gone before the end.
  ~RunningProgram();
  RunningProgram(const RunningProgram&) = delete;
  RunningProgram& operator=(const RunningProgram&) = delete;

  void Begin(std::vector<int32_t> ids);
  void Cancel() { tickets_.CancelAll(); }

 private:
  // Does it, and ends the program with what is thrown.
  void Guarded(const std::function<void()>& work);

  // Steps of a line (program_steps.cc).
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

  // Its pieces (running_program.cc): each waits for its turn, and then goes to the engine.
  void Submit(const std::shared_ptr<ProgramPiece>& piece);
  void StartWaiting();
  void Start(const std::shared_ptr<ProgramPiece>& piece);
  void Take(ProgramPiece& piece);

  void End();
  void Fail(const ApiError& error);
  void Report(int status, const std::string& error);
  // As far as it has come.
  ApiAnswer Answer() const;

  ProgramJob job_;
  ModelService& service_;
  Tickets tickets_;
  std::mutex mutex_;
  ProgramLine line_;
  std::deque<std::shared_ptr<ProgramPiece>> waiting_;
  std::vector<std::shared_ptr<ProgramPiece>> started_;
  int64_t running_ = 0;  // those of `started_` that have not ended
  // Of the prompts of `started_`, what was or will be read for their sake alone. Where prompts are
  // kept, a piece counts when it has ended.
  int64_t read_tokens_ = 0;
  double first_piece_ = 0;
  bool over_ = false;
};

}  // namespace retort
