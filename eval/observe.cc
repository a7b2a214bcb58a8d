// SPDX-License-Identifier: Apache-2.0
#include "eval/observe.h"

#include "eval/loss.h"

namespace retort {

void Observe(const Model& model, const Adapter* adapter, const Examples& examples,
             const Observer& observer, const ObserveOptions& options) {
  Context context{model.backend};
  int64_t done = 0;
  ForEachBatch(examples, options.batch_tokens, [&](const std::vector<const Example*>& some) {
    Batch batch;
    for (const Example* example : some) batch.AddRow(example->ids, example->row);
    if (options.before)
      options.before(model.Embed(context, adapter, batch, model.backend.Upload(batch.ids)).value);
    ForwardPass pass{batch, adapter};
    pass.observer = &observer;
    model.Hidden(context, pass);
    done += std::ssize(some);
    if (options.on_progress) options.on_progress(done);
  });
}

}  // namespace retort
