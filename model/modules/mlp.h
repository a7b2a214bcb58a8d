// SPDX-License-Identifier: Apache-2.0
// A gated MLP: down(activation(gate x) * up x).
#pragma once

#include "model/pass.h"

namespace retort {

class Mlp {
 public:
  // expert, experts: the expert's index and their number for an MLP of a mixture, else -1 and 0.
  Mlp(const MlpSpec& spec, LayoutBuilder& builder, int64_t expert = -1, int64_t experts = 0);

  Var Forward(const PassContext& run, const Var& x) const;  // [T,C] -> [T,C]

 private:
  MlpSpec spec_;
  LinearId gate_ = kNone, up_ = kNone, gate_up_ = kNone, down_ = kNone;
};

}  // namespace retort
