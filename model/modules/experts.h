// SPDX-License-Identifier: Apache-2.0
// A mixture of experts (arXiv 1701.06538, 2401.04088): a router selects the MLPs for each token,
// and their outputs are summed, weighted by the router's scores. Beside them there may be an MLP
// that every token goes through.
#pragma once

#include <optional>
#include <vector>

#include "model/modules/mlp.h"

namespace retort {

class Experts {
 public:
  Experts(const MlpSpec& spec, LayoutBuilder& builder);

  Var Forward(const PassContext& run, const Var& x) const;  // [T,C] -> [T,C]

 private:
  // The routed experts' outputs and, with a gate, the shared one's.
  std::vector<ops::ExpertRows> Outputs(const PassContext& run, const Var& x,
                                       const Tensor& chosen) const;
  Var Weights(const PassContext& run, const Var& x, const Var& routed) const;

  RouteRule rule_;
  int places_;  // weights of a token: of the experts used and, with a gate, of the shared MLP
  LinearId router_, shared_gate_ = kNone;
  GainId choice_bias_ = kNone;
  std::vector<Mlp> experts_;
  std::optional<Mlp> shared_;
};

}  // namespace retort
