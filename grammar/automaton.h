// SPDX-License-Identifier: Apache-2.0
// The deterministic automaton of expressions, built state by state as texts reach them.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "grammar/expressions.h"

namespace retort {

class Automaton {
 public:
  using State = uint32_t;
  static constexpr State kDead = 0;
  static constexpr size_t kMostStates = 200'000;

  // The expressions must be complete, and outlive it. free_items: those that stand for any one
  // character of a JSON string, or more (FreeCharacters).
  Automaton(Expressions& expressions, const std::vector<ExpressionId>& free_items);

  // kDead if the expression has no text. Throws Error{kInput} beyond kMostStates.
  State StateOf(ExpressionId id);
  State Next(State state, uint8_t byte) {
    const State next = table_[state * width_ + class_of_[byte]];
    return next != kUnknown ? next : Find(state, byte);
  }
  bool Accepts(State state) const { return info_[state].accepts; }
  // Whether a byte may follow, of a state that is not dead.
  bool Continues(State state) {
    const ExpressionId id = info_[state].expression;
    return expressions_.Plain(id) ? id != Expressions::kEmpty : FirstBytes(state).any();
  }
  // The bytes that may follow.
  const ByteSet& FirstBytes(State state);
  // How many characters of a JSON string that need no escape may follow, whatever they are, before
  // only a quote can. Where it is not 0, no text of such characters is a complete one.
  uint32_t FreeCharacters(State state) const { return info_[state].free; }
  // For the next tokens' worth of bytes, states with the same key behave alike: counts that no text
  // of `horizon` bytes can exhaust are taken for infinite.
  State Horizon(State state, uint32_t horizon);

  size_t bytes() const;

 private:
  static constexpr State kUnknown = UINT32_MAX;
  struct Info {
    ExpressionId expression = Expressions::kNothing;
    uint32_t free = 0;
    bool accepts = false;
  };
  State Find(State state, uint8_t byte);
  uint32_t FreeOf(ExpressionId id) const;

  Expressions& expressions_;
  const std::unordered_set<ExpressionId> free_items_;
  std::vector<uint8_t> class_of_, samples_;
  size_t width_;              // classes
  std::vector<State> table_;  // [states, width_]
  std::vector<Info> info_;
  std::vector<std::unique_ptr<ByteSet>> first_;
  std::unordered_map<ExpressionId, State> states_;
};

}  // namespace retort
