// SPDX-License-Identifier: Apache-2.0
// The only exception type, and the check for bugs.
//
// A message is one line: the file, the place in it, what was expected, and a fix if there is one.
// The constructor sees to that whatever text of a file is in it (OneLine in base/text.h).
// Who may catch errors is listed in docs/architecture.md: cli/, the server, the engine, the tops of
// threads, and the child process that reads HDF5.
#pragma once

#include <stdexcept>
#include <string>

#include "base/strings.h"

namespace retort {

class Error : public std::runtime_error {
 public:
  enum class Kind {
    kInput,    // bad usage, recipe or input file: exit status 2
    kFailure,  // I/O, memory, a check that did not hold: exit status 1
    kBug,      // a broken invariant in Retort itself: exit status 1
  };
  Error(Kind kind, std::string_view message);
  Kind kind() const { return kind_; }

 private:
  Kind kind_;
};

// throw InputError("recipe.json: key 'optm' is not known; did you mean 'optim'?")
template <class... Args>
Error InputError(const Args&... args) {
  return Error(Error::Kind::kInput, Cat(args...));
}
template <class... Args>
Error Failure(const Args&... args) {
  return Error(Error::Kind::kFailure, Cat(args...));
}

// The text of the current errno, e.g. "No space left on device".
std::string ErrnoText();

[[noreturn]] void ThrowBug(const char* file, int line, const char* condition,
                           const std::string& detail);

}  // namespace retort

// RETORT_CHECK(x.cols() == w.cols(), "linear: x has ", x.cols(), " columns, W ", w.cols())
// Enabled in all builds; throws Error{kBug}. Not for conditions that a user or a file can cause.
#define RETORT_CHECK(condition, ...)                                    \
  do {                                                                  \
    if (!(condition)) [[unlikely]]                                      \
      ::retort::ThrowBug(__FILE__, __LINE__, #condition,                \
                         ::retort::Cat("" __VA_OPT__(, ) __VA_ARGS__)); \
  } while (0)
