// SPDX-License-Identifier: Apache-2.0
#include "grammar/automaton.h"

#include "base/error.h"

namespace retort {

Automaton::Automaton(Expressions& expressions, const std::vector<ExpressionId>& free_items)
    : expressions_(expressions),
      free_items_(free_items.begin(), free_items.end()),
      class_of_(expressions.ByteClasses().of),
      samples_(expressions.ByteClasses().samples),
      width_(samples_.size()),
      table_(width_, kDead),
      info_(1),
      first_(1) {
  states_[Expressions::kNothing] = kDead;
}

Automaton::State Automaton::StateOf(ExpressionId id) {
  const auto at = states_.find(id);
  if (at != states_.end()) return at->second;
  if (expressions_.IsNothing(id)) return states_[id] = kDead;
  const auto state = static_cast<State>(info_.size());
  if (state >= kMostStates) {
    throw InputError("the grammar needs more than ", kMostStates,
                     " states; write it with fewer and smaller repetitions");
  }
  info_.push_back({id, FreeOf(id), expressions_.Nullable(id)});
  first_.emplace_back();
  table_.resize(table_.size() + width_, kUnknown);
  return states_[id] = state;
}

Automaton::State Automaton::Find(State state, uint8_t byte) {
  const State next = StateOf(expressions_.Derivative(info_[state].expression, byte));
  table_[state * width_ + class_of_[byte]] = next;
  return next;
}

const ByteSet& Automaton::FirstBytes(State state) {
  if (first_[state]) return *first_[state];
  auto first = std::make_unique<ByteSet>();
  for (unsigned byte = 0; byte < 256; ++byte)
    first->set(byte, Next(state, static_cast<uint8_t>(byte)) != kDead);
  first_[state] = std::move(first);
  return *first_[state];
}

uint32_t Automaton::FreeOf(ExpressionId id) const {
  const Expressions::Counted counted = expressions_.AsCounted(id);
  if (counted.most == 0 || !free_items_.contains(counted.item)) return 0;
  const bool quoted = !expressions_.Nullable(counted.rest) &&
                      expressions_.FirstBytes(counted.rest) == ByteSet().set('"');
  return quoted ? counted.most : 0;
}

Automaton::State Automaton::Horizon(State state, uint32_t horizon) {
  const Expressions::Counted counted = expressions_.AsCounted(info_[state].expression);
  if (counted.most == 0 || expressions_.Nullable(counted.item)) return state;
  const auto far = [&](uint32_t count) {
    return count != Expressions::kNoLimit && count > horizon;
  };
  uint32_t least = counted.least, most = counted.most;
  if (far(least)) least = horizon, most = Expressions::kNoLimit;
  if (far(most)) most = Expressions::kNoLimit;
  if (least == counted.least && most == counted.most) return state;
  return StateOf(expressions_.Concat(expressions_.Repeat(counted.item, least, most), counted.rest));
}

size_t Automaton::bytes() const {
  return table_.capacity() * sizeof(State) + info_.capacity() * (sizeof(Info) + sizeof(ByteSet)) +
         expressions_.size() * 64;
}

}  // namespace retort
