// SPDX-License-Identifier: Apache-2.0
#include "grammar/parser.h"

#include <algorithm>
#include <unordered_set>

#include "base/error.h"
#include "base/seeded_hash.h"

namespace retort {
namespace {

// Threads that a step adds and that cost about what a derivative does.
constexpr size_t kThreadsPerStep = 4;
// Stacks that one closure may look at.
constexpr size_t kMostReached = 16 * Parser::kMostThreads;

void RemoveRepeated(std::vector<Parser::Thread>& threads) {
  if (threads.size() < 2) return;
  std::sort(threads.begin(), threads.end());
  threads.erase(std::unique(threads.begin(), threads.end()), threads.end());
  if (threads.size() <= Parser::kMostThreads) return;
  throw InputError("the grammar can be read in more than ", Parser::kMostThreads,
                   " ways at one place; make its choices differ earlier");
}

}  // namespace

Parser::Parser(std::unique_ptr<GrammarParts> parts)
    : parts_(std::move(parts)),
      nodes_(parts_->productions),
      automaton_(parts_->expressions, parts_->free_items),
      frames_(1),
      closures_(1) {
  start_ = Push(nodes_.start(), kBottom);
}

size_t Parser::FrameHash::operator()(const Frame& frame) const {
  const uint64_t low = SeededHash(uint64_t{frame.node} << 32 | frame.below);
  return SeededHash(low ^ (uint64_t{frame.least} << 32 | frame.most));
}

Parser::FrameId Parser::Push(const Frame& frame) {
  if (const auto known = frame_ids_.find(frame); known != frame_ids_.end()) return known->second;
  if (frames_.size() >= kMostFrames)
    throw InputError("the text nests or repeats the grammar's rules more than ", kMostFrames,
                     " times");
  // The id is known last: whatever throws before leaves no id without a frame.
  const auto id = static_cast<FrameId>(frames_.size());
  closures_.emplace_back();
  frames_.push_back(frame);
  frame_ids_.emplace(frame, id);
  return id;
}

Parser::FrameId Parser::Push(NodeId id, FrameId below) {
  const Productions::Node& node = nodes_[id];
  if (id == Productions::kEmpty) return below;
  if (node.kind == Productions::Kind::kRepeat) return Push({id, node.b, node.c, below});
  return Push({id, 0, 0, below});
}

const Parser::Configuration& Parser::Closure(FrameId frame) {
  if (!closures_[frame]) {
    auto made = std::make_unique<Configuration>(Expand(frame));
    closure_bytes_ += sizeof(Configuration) + made->threads.capacity() * sizeof(Thread);
    closures_[frame] = std::move(made);
  }
  return *closures_[frame];
}

// Takes nodes off the stack until terminals stand on top of it.
Parser::Configuration Parser::Expand(FrameId frame) {
  using Kind = Productions::Kind;
  Configuration made;
  std::vector<FrameId> open = {frame};
  std::unordered_set<FrameId> seen = {frame};
  const auto go_on = [&](FrameId next) {
    if (seen.insert(next).second) open.push_back(next);
  };
  while (!open.empty()) {
    const FrameId top = open.back();
    open.pop_back();
    Charge(1);
    if (top == kBottom) {
      made.ends = true;
      continue;
    }
    const Frame at = frames_[top];
    const Productions::Node& node = nodes_[at.node];
    if (!node.productive) continue;
    switch (node.kind) {
      case Kind::kEmpty:
      case Kind::kNothing:
        break;
      case Kind::kTerminal: {
        const Automaton::State state = automaton_.StateOf(node.a);
        if (state != Automaton::kDead && automaton_.Continues(state))
          made.threads.push_back({state, at.below});
        if (automaton_.Accepts(state)) go_on(at.below);
        break;
      }
      case Kind::kSequence:
        go_on(Push(node.a, Push(node.b, at.below)));
        break;
      case Kind::kChoice:
        Charge(node.b);
        for (const NodeId part : nodes_.PartsOf(node)) go_on(Push(part, at.below));
        break;
      case Kind::kRule:
        go_on(Push(node.a, at.below));
        break;
      case Kind::kRepeat: {
        if (at.least == 0) go_on(at.below);
        Frame rest = at;
        if (rest.least > 0) --rest.least;
        if (rest.most != Productions::kNoLimit) --rest.most;
        if (nodes_[node.a].productive) go_on(Push(node.a, rest.most == 0 ? at.below : Push(rest)));
        break;
      }
    }
    if (made.threads.size() > 2 * kMostThreads) RemoveRepeated(made.threads);
    if (seen.size() > kMostReached) {
      throw InputError("the grammar begins with more than ", kMostReached,
                       " of its parts at one place; make its choices differ earlier");
    }
  }
  RemoveRepeated(made.threads);
  return made;
}

bool Parser::Step(Configuration& at, uint8_t byte) {
  Configuration next;
  for (const Thread& thread : at.threads) {
    const Automaton::State state = automaton_.Next(thread.state, byte);
    if (state == Automaton::kDead) continue;
    if (automaton_.Continues(state)) next.threads.push_back({state, thread.frame});
    if (!automaton_.Accepts(state)) continue;
    const Configuration& behind = Closure(thread.frame);
    next.ends |= behind.ends;
    next.threads.insert(next.threads.end(), behind.threads.begin(), behind.threads.end());
    Charge(behind.threads.size() / kThreadsPerStep);
    if (next.threads.size() > 2 * kMostThreads) RemoveRepeated(next.threads);
  }
  RemoveRepeated(next.threads);
  at = std::move(next);
  return at.ends || !at.threads.empty();
}

bool Parser::Read(Configuration& at, std::string_view text) {
  return std::ranges::all_of(text, [&](char c) { return Step(at, static_cast<uint8_t>(c)); });
}

ByteSet Parser::FirstBytes(const Configuration& at) {
  ByteSet bytes;
  for (const Thread& thread : at.threads) bytes |= automaton_.FirstBytes(thread.state);
  return bytes;
}

size_t Parser::bytes() const { return automaton_.bytes() + frames_.size() * 100 + closure_bytes_; }

double Parser::used() const {
  const auto share = [](size_t size, size_t most) {
    return static_cast<double>(size) / static_cast<double>(most);
  };
  return std::max(share(parts_->expressions.size(), Expressions::kMostNodes),
                  share(frames_.size(), kMostFrames));
}

}  // namespace retort
