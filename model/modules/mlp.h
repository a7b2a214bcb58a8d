// SPDX-License-Identifier: Apache-2.0
// An MLP: down(activation(gate x) * up x), or down(activation(up x)) without a gate.
#pragma once

#include "model/pass.h"

namespace retort {

class Mlp {
 public:
  // suffix: of its parts' names, "" or "_exps" in a mixture. expert, experts: the expert's index
  // and their number, else -1 and 0.
  Mlp(const MlpSpec& spec, LayoutBuilder& builder, const char* suffix = "", int64_t expert = -1,
      int64_t experts = 0);

  Var Forward(const PassContext& run, const Var& x) const;  // [T,C] -> [T,C]

 private:
  MlpSpec spec_;
  LinearId gate_ = kNone, up_ = kNone, gate_up_ = kNone, down_ = kNone;
};

}  // namespace retort
