// SPDX-License-Identifier: Apache-2.0
// The values that an adapter begins with.
#pragma once

#include "model/adapter.h"

namespace retort {

// Fills a new adapter, so that it changes nothing:
//   A uniform in +-1/sqrt(in), or normal with deviation 1/rank ("gaussian"), B zero; an embedding's A
//     normal, its B zero;
//   A and B a part of W that is taken out of it (TakePartsOfBase);
//   magnitudes the norms of the rows of W (base.model), biases beside B zero, and everything that
//     stands in the place of a tensor of the base the base's own values (base.files).
// A layer's values depend only on the seed and the layer's name.
void StartAdapter(Adapter& adapter, const Layout& layout, uint64_t seed, Backend& backend,
                  const AdapterBase& base);

// Sets A0 and B0 of every site, and A and B to the same values, as config().start says, from the
// base's weights. `seed` matters for pissa_niter_N only.
void TakePartsOfBase(Adapter& adapter, const Layout& layout, uint64_t seed, Backend& backend,
                     const ModelFiles& files);

}  // namespace retort
