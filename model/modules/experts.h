// SPDX-License-Identifier: Apache-2.0
// A mixture of experts (arXiv 1701.06538, 2401.04088): a router selects the MLPs for each token,
// and their outputs are summed, weighted by the router's probabilities.
#pragma once

#include <vector>

#include "model/modules/mlp.h"

namespace retort {

class Experts {
 public:
  Experts(const MlpSpec& spec, LayoutBuilder& builder);

  Var Forward(const PassContext& run, const Var& x) const;  // [T,C] -> [T,C]

 private:
  RouteRule rule_;
  LinearId router_;
  std::vector<Mlp> experts_;
};

}  // namespace retort
