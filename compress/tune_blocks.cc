// SPDX-License-Identifier: Apache-2.0
#include "compress/tune_blocks.h"

#include <cmath>
#include <map>

#include "base/error.h"
#include "eval/loss.h"
#include "model/stored_tensors.h"
#include "tensor/quant/feedback.h"

namespace retort {
namespace {

// The rows' tokens in batches, with the residual stream before a block.
struct Stream {
  std::vector<Batch> batches;
  std::vector<Tensor> x;  // [T,C]
};

Stream Embedded(const Model& model, const Examples& examples, int64_t batch_tokens) {
  Stream out;
  Context context{model.backend};
  ForEachBatch(examples, batch_tokens, [&](const std::vector<const Example*>& some) {
    Batch batch;
    for (const Example* example : some) batch.AddRow(example->ids, example->row);
    out.x.push_back(model.Embed(context, nullptr, batch, model.backend.Upload(batch.ids)).value);
    out.batches.push_back(std::move(batch));
  });
  return out;
}

// The second moments sum x x^T of the inputs x of some of a layer's matrices. Those with the same
// input share them.
class Moments {
 public:
  Moments(Backend& backend, int64_t most_bytes) : backend_(backend), most_bytes_(most_bytes) {}

  void Add(LinearId id, const Tensor& x) {
    if (x.raw() != last_x_.raw()) {
      last_ = id;
      last_x_ = x;
      if (Tensor* sum = SumOf(id, x.cols())) backend_.Gemm(true, false, 1, x, x, 1, *sum);
    }
    shared_.emplace(id, last_);
  }
  // What is given next may lie where something else was.
  void EndBatch() { last_x_ = {}; }

  bool Saw(LinearId id) const { return shared_.contains(id); }
  // [cols,cols]; null: the matrix saw nothing, or there was no room.
  const Tensor* Find(LinearId id) const {
    const auto shared = shared_.find(id);
    if (shared == shared_.end()) return nullptr;
    const auto sum = sums_.find(shared->second);
    return sum == sums_.end() ? nullptr : &sum->second;
  }

 private:
  Tensor* SumOf(LinearId id, int64_t cols) {
    if (const auto found = sums_.find(id); found != sums_.end()) return &found->second;
    const int64_t bytes = cols * cols * int64_t{sizeof(float)};
    // What had no room at first does not get any later, without the first batches.
    if (Saw(id) || (!sums_.empty() && bytes_ + bytes > most_bytes_)) return nullptr;
    bytes_ += bytes;
    Tensor sum = backend_.New({cols, cols});
    backend_.Fill(sum, 0);
    return &sums_.emplace(id, std::move(sum)).first->second;
  }

  Backend& backend_;
  const int64_t most_bytes_;
  int64_t bytes_ = 0;
  std::map<LinearId, LinearId> shared_;  // the first matrix with the same input
  std::map<LinearId, Tensor> sums_;      // by that one
  LinearId last_ = kNone;
  Tensor last_x_;
};

using WantedById = std::map<LinearId, const TensorSpec*>;

class BlockTuner {
 public:
  BlockTuner(const ModelFiles& files, const BlockRounding& rounding, const TuneOptions& options,
             Model& model)
      : files_(files),
        rounding_(rounding),
        options_(options),
        model_(model),
        pool_(model.backend.threads()) {}

  // The quantised matrices, of one layer; the model has them then.
  std::map<LinearId, Weight> Tune(int64_t layer, WantedById wanted, const Stream& stream) {
    std::map<LinearId, Weight> out;
    while (!wanted.empty()) {
      factored_ = nullptr;  // another sum may have its place
      Moments moments(model_.backend, options_.moment_bytes);
      Observe(layer, stream, wanted, moments);
      for (auto next = wanted.begin(); next != wanted.end();) {
        const auto& [id, spec] = *next;
        const Tensor* sum = moments.Find(id);
        if (!sum && moments.Saw(id)) {
          ++next;  // in another pass
          continue;
        }
        const Weight& done = out.emplace(id, Rounded(*spec, sum)).first->second;
        model_.Set(spec->target, done);
        next = wanted.erase(next);
      }
    }
    return out;
  }

 private:
  void Observe(int64_t layer, const Stream& stream, const WantedById& wanted, Moments& moments) {
    Observer observer;
    observer.linear_input = [&](LinearId id, const Tensor& x) {
      if (wanted.contains(id)) moments.Add(id, x);
    };
    for (size_t b = 0; b < stream.batches.size(); ++b) {
      Context context{model_.backend};
      ForwardPass pass{stream.batches[b]};
      pass.observer = &observer;
      model_.RunBlock(context, pass, layer, {stream.x[b]});
      moments.EndBatch();
    }
  }

  // sum: null if the matrix saw no input, as an expert may.
  Weight Rounded(const TensorSpec& spec, const Tensor* sum) {
    const Weight source = FetchTensor(files_, spec, *memory_);
    return rounding_.round(spec, source, FactorOf(spec, sum, source.cols()));
  }

  // Matrices with the same input come one after the other.
  const FeedbackFactor& FactorOf(const TensorSpec& spec, const Tensor* sum, int64_t n) {
    if (factor_ && sum && sum == factored_) return *factor_;
    factored_ = sum;
    const std::vector<float> moments =
        sum ? model_.backend.ToFloats(*sum) : std::vector<float>(static_cast<size_t>(n * n));
    for (int64_t i = 0; i < n; ++i) {
      if (!std::isfinite(moments[static_cast<size_t>(i * n + i)]))
        throw Failure(spec.name, ": its inputs are not finite numbers: the activations overflow");
    }
    return factor_.emplace(moments, n, options_.damping, pool_);
  }

  const ModelFiles& files_;
  const BlockRounding& rounding_;
  const TuneOptions& options_;
  Model& model_;
  ThreadPool pool_;
  std::shared_ptr<Memory> memory_ = MakeHostMemory();
  const Tensor* factored_ = nullptr;  // the sum that factor_ is of
  std::optional<FeedbackFactor> factor_;
};

}  // namespace

void TuneBlocks(const ModelFiles& files, const Examples& examples, const BlockRounding& rounding,
                const TuneOptions& options, Model& model) {
  Stream stream = Embedded(model, examples, options.batch_tokens);
  BlockTuner tuner(files, rounding, options, model);
  for (int64_t layer = 0; layer < model.config.layers(); ++layer) {
    WantedById wanted;
    for (const TensorSpec& spec : files.layout.tensors) {
      const LinearSpec* linear = files.layout.LinearOf(spec);
      if (linear && linear->layer == layer && rounding.wanted(spec))
        wanted.emplace(spec.target.id, &spec);
    }
    const std::map<LinearId, Weight> done = tuner.Tune(layer, wanted, stream);
    for (const TensorSpec& spec : files.layout.tensors) {
      const auto found = spec.is_matrix() ? done.find(spec.target.id) : done.end();
      if (found != done.end()) rounding.use(spec, found->second);
    }
    for (size_t b = 0; b < stream.batches.size(); ++b) {
      Context context{model.backend};
      stream.x[b] = model.RunBlock(context, {stream.batches[b]}, layer, {stream.x[b]}).value;
    }
    if (options.on_layer) options.on_layer(layer);
  }
}

}  // namespace retort
