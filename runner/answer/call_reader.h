// SPDX-License-Identifier: Apache-2.0
// Reads one call of a tool that arrives byte by byte.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "template/calls/call_format.h"

namespace retort {

// What is known of a tool besides what the model is told: its name, and its arguments' types in its
// schema ("string", "integer"); none: any.
struct Tool {
  std::string name;
  std::map<std::string, std::vector<std::string>> types = {};
  std::string schema = {};  // a JSON Schema that its arguments are held to; "": none
};
bool OnlyText(const std::vector<std::string>& types);

class CallReader {
 public:
  enum class State { kGoing, kDone, kBroken };

  CallReader() = default;
  virtual ~CallReader() = default;
  CallReader(const CallReader&) = delete;
  CallReader& operator=(const CallReader&) = delete;

  // The first byte is the one behind the marks that open a call. kDone: the byte completes the
  // call, whose arguments are then a JSON object. kBroken: this byte cannot belong to a call.
  virtual State Push(char c) = 0;
  // Whether this can be told to be a call: its name is known and its arguments have begun.
  bool begun() const { return !name_.empty() && arguments_begun_; }
  const std::string& name() const { return name_; }
  // The text of the arguments since the last call of this function. Only if begun().
  std::string TakeArguments() { return std::exchange(arguments_, ""); }

 protected:
  std::string name_, arguments_;
  bool arguments_begun_ = false;
};

// The format and the tools must outlive it.
std::unique_ptr<CallReader> MakeObjectReader(const CallFormat& format);
std::unique_ptr<CallReader> MakeNamedReader(const CallFormat& format);
std::unique_ptr<CallReader> MakeTaggedReader(const CallFormat& format,
                                             const std::vector<Tool>& tools);
std::unique_ptr<CallReader> MakeCallReader(const CallFormat& format,
                                           const std::vector<Tool>& tools);

}  // namespace retort
