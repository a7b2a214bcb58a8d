// SPDX-License-Identifier: Apache-2.0
// The faults of all rows of a set, gathered so that they can be mended in one go.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"

namespace retort {

// What the rows are refused for. The message is the only fault, or the number of them.
class RowFaultsError : public Error {
 public:
  RowFaultsError(const std::string& message, std::vector<std::string> faults,
                 std::vector<std::string> notes)
      : Error(Kind::kInput, message), faults_(std::move(faults)), notes_(std::move(notes)) {}
  // If there are several, one line for each kind: the first row that has it, the fault, and the
  // other rows.
  const std::vector<std::string>& faults() const { return faults_; }
  // What else the audit found, which alone would not stop a run.
  const std::vector<std::string>& notes() const { return notes_; }

 private:
  std::vector<std::string> faults_, notes_;
};

class RowFaults {
 public:
  // `what` is the fault without its place. Faults that differ only in numbers and quoted texts are
  // of one kind.
  void Add(const std::string& where, const std::string& what);

  // A fault of several rows whose text is complete.
  void AddCounted(const std::string& first_where, const std::string& text, int64_t count);

  bool empty() const { return kinds_.empty(); }
  // Throws Error{kInput}: the only fault, or a RowFaultsError. rows: how many there are.
  [[noreturn]] void Throw(int64_t rows, const std::vector<std::string>& notes) const;

 private:
  struct Kind {
    std::string pattern, first_where, first_what;
    std::vector<std::string> others;  // places, the first few
    int64_t count = 0;
    bool complete = false;
  };
  std::string Line(const Kind& kind, int64_t rows) const;

  std::vector<Kind> kinds_;
};

}  // namespace retort
