// SPDX-License-Identifier: Apache-2.0
// Follows a text through a grammar byte by byte, in all ways at once.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "grammar/automaton.h"
#include "grammar/productions.h"

namespace retort {

// What a notation is compiled to.
struct GrammarParts {
  Expressions expressions;
  Productions productions;
  std::vector<ExpressionId> free_items;  // see Automaton
};

// Not thread-safe: automaton, frames and closures grow as texts reach them. What follows a terminal
// is a stack of nodes; stacks share their lower parts and equal ones have equal ids, so a set of
// threads costs little to keep, copy and compare.
class Parser {
 public:
  static constexpr size_t kMostThreads = 4096;
  static constexpr size_t kMostFrames = 1'000'000;

  using FrameId = uint32_t;
  static constexpr FrameId kBottom = 0;

  // A way to read the text so far: it stands within a terminal, which `frame` follows.
  struct Thread {
    Automaton::State state;
    FrameId frame;
    bool operator==(const Thread&) const = default;
    bool operator<(const Thread& other) const {
      return std::tie(state, frame) < std::tie(other.state, other.frame);
    }
  };
  struct Configuration {
    std::vector<Thread> threads;
    bool ends = false;  // the text may end here
  };

  // The productions must be finished.
  explicit Parser(std::unique_ptr<GrammarParts> parts);

  const Configuration& Start() { return Closure(start_); }
  // Reads a byte. False if no text of the grammar goes on like this; then nothing is left. Throws
  // Error{kInput} beyond kMostThreads and kMostFrames.
  bool Step(Configuration& at, uint8_t byte);
  bool Read(Configuration& at, std::string_view text);
  // Where the text stands when the nodes of a stack begin.
  const Configuration& Closure(FrameId frame);
  ByteSet FirstBytes(const Configuration& at);

  Automaton& automaton() { return automaton_; }
  // See Expressions.
  void Allow(uint64_t steps) { parts_->expressions.Allow(steps); }
  void Charge(uint64_t steps) { parts_->expressions.Charge(steps); }
  size_t bytes() const;
  // How much of the room for expressions and frames is used: 1 is all of one of them.
  double used() const;

 private:
  struct Frame {
    NodeId node;
    uint32_t least, most;  // of a repetition: what is left of its counts
    FrameId below;
    bool operator==(const Frame&) const = default;
  };
  struct FrameHash {
    size_t operator()(const Frame& frame) const;
  };
  FrameId Push(const Frame& frame);
  FrameId Push(NodeId node, FrameId below);
  Configuration Expand(FrameId frame);

  std::unique_ptr<GrammarParts> parts_;
  const Productions& nodes_;
  Automaton automaton_;
  std::vector<Frame> frames_;
  std::unordered_map<Frame, FrameId, FrameHash> frame_ids_;
  std::vector<std::unique_ptr<Configuration>> closures_;  // by frame
  size_t closure_bytes_ = 0;
  FrameId start_;
};

}  // namespace retort
