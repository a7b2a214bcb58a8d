// SPDX-License-Identifier: Apache-2.0
#include "compress/format_losses.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "eval/agreement.h"
#include "eval/input_squares.h"
#include "model/stored_tensors.h"
#include "tensor/quant/quant.h"

namespace retort {
namespace {

constexpr int64_t kLogitValues = int64_t{64} << 20;  // of the reference that are held
constexpr int64_t kSampledRows = 256;                // of a matrix, whose errors stand for all

// At most `tokens` of the examples, the first ones of each: equal shares of examples from all over
// them, and more for others of what a short one leaves.
Examples Sample(const Examples& examples, int64_t tokens) {
  constexpr int64_t kLeast = 64;  // of an example, where they are that long
  for (int64_t count = std::clamp<int64_t>(tokens / kLeast, 1, examples.size());; count *= 2) {
    count = std::min({count, tokens, examples.size()});
    std::vector<Example> out;
    out.reserve(static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i) out.push_back(examples[i * examples.size() / count]);
    std::ranges::stable_sort(out, {}, [](const Example& e) { return e.size(); });
    int64_t left = tokens;
    for (int64_t i = 0; i < count; ++i) {
      Example& cut = out[static_cast<size_t>(i)];
      cut.ids.resize(static_cast<size_t>(std::min(cut.size(), left / (count - i))));
      cut.labels.resize(cut.ids.size());
      left -= cut.size();
    }
    if (left == 0 || count == std::min(tokens, examples.size())) return out;
  }
}

// The KL of the model with some weights replaced to the model as it was first.
class Probe {
 public:
  Probe(const Model& model, const Examples& examples) : model_(model) {
    for (const Example& example : examples) batch_.AddRow(example.ids, example.row);
    Context context{model.backend};
    inputs_.push_back(Embedded(context));
    for (int64_t layer = 0; layer < model.config.layers(); ++layer)
      inputs_.push_back(model.RunBlock(context, {batch_}, layer, {inputs_.back()}).value);
    reference_ = LogitsFrom(model.config.layers(), inputs_.back());
  }

  // Where only weights of that layer and of later ones were replaced; -1: of any.
  double KlFrom(int64_t layer) const {
    Context context{model_.backend};
    const std::vector<float> logits = layer < 0
                                          ? LogitsFrom(0, Embedded(context))
                                          : LogitsFrom(layer, inputs_[static_cast<size_t>(layer)]);
    const auto vocab = static_cast<size_t>(model_.config.vocab);
    AgreementSum sum;
    for (size_t at = 0; at < logits.size(); at += vocab)
      sum.Add(std::span(reference_).subspan(at, vocab), std::span(logits).subspan(at, vocab));
    return sum.Mean().mean_kl;
  }

 private:
  Tensor Embedded(Context& context) const {
    return model_.Embed(context, nullptr, batch_, model_.backend.Upload(batch_.ids)).value;
  }
  std::vector<float> LogitsFrom(int64_t layer, const Tensor& x) const {
    Context context{model_.backend};
    const Var hidden = model_.HiddenFrom(context, {batch_}, layer, {x});
    return model_.backend.ToFloats(model_.LogitsOf(context, nullptr, hidden.value));
  }

  const Model& model_;
  Batch batch_;
  std::vector<Tensor> inputs_;  // of each block, and of the final norm
  std::vector<float> reference_;
};

// A GGUF's tensor: one matrix, or those of all experts.
struct Part {
  std::vector<const TensorSpec*> specs;
  int64_t layer;  // the first one that it changes
};

std::vector<Part> PartsOf(const Layout& layout) {
  std::vector<Part> out;
  std::map<std::string, size_t> places;
  for (const TensorSpec& spec : layout.tensors) {
    const LinearSpec* linear = layout.LinearOf(spec);
    if (!linear || linear->use == LinearUse::kRouter || spec.split.present()) continue;
    const auto [place, added] = places.emplace(spec.gguf_name, out.size());
    if (added) out.push_back({{}, linear->use == LinearUse::kHead ? -1 : linear->layer});
    out[place->second].specs.push_back(&spec);
  }
  return out;
}

// The sum over some rows of the squared errors of a format, weighted by `importance`.
double SquaredError(const Weight& w, WeightFormat format, const std::vector<float>& importance,
                    ThreadPool& pool) {
  const int64_t cols = w.cols(), count = std::min(w.rows(), kSampledRows);
  std::vector<double> errors(static_cast<size_t>(count));
  pool.For(count, [&](int64_t i, int) {
    std::vector<float> row(static_cast<size_t>(cols)), decoded(row.size());
    std::vector<std::byte> bytes(static_cast<size_t>(RowBytes(format, cols)));
    DecodeRow(w, i * w.rows() / count, 0, cols, row.data());
    EncodeRow(format, row.data(), cols, bytes.data(), importance.data());
    DecodeRow(Weight(format, 1, cols, Bytes(bytes), nullptr), 0, 0, cols, decoded.data());
    double& sum = errors[static_cast<size_t>(i)];
    for (size_t c = 0; c < row.size(); ++c) {
      const double off = double{row[c]} - decoded[c];
      sum += importance[c] * off * off;
    }
  });
  return std::accumulate(errors.begin(), errors.end(), 0.0) * static_cast<double>(w.rows()) /
         static_cast<double>(count);
}

}  // namespace

class FormatLosses::Measurement {
 public:
  Measurement(const ModelFiles& files, const Examples& examples, Model& model)
      : files_(files),
        model_(model),
        pool_(model.backend.threads()),
        squares_(SumInputSquares(model, nullptr, examples, {})),
        probe_(model, examples),
        parts_(PartsOf(files.layout)) {}

  const std::vector<Part>& parts() const { return parts_; }

  MixItem Of(const Part& part, const std::vector<WeightFormat>& formats) {
    const int64_t cols = part.specs.front()->shape.back();
    MixItem item{part.specs.front()->gguf_name, {}};
    for (const WeightFormat format : formats) {
      if (cols % TraitsOf(format).row_step() == 0) item.choices.push_back({format, 0, 0});
    }
    if (item.choices.empty()) item.choices.push_back({WeightFormat::kF16, 0, 0});
    for (const TensorSpec* spec : part.specs) {
      const Weight w = FetchTensor(files_, *spec, *memory_);
      const std::vector<float> importance = ImportanceOf(*spec);
      for (FormatChoice& choice : item.choices) {
        choice.bytes += w.rows() * RowBytes(choice.format, cols);
        choice.kl += SquaredError(w, choice.format, importance, pool_);
      }
    }
    const FormatChoice probe = ProbeOf(item.choices);
    const double kl = KlOfAlone(part, probe.format);
    for (FormatChoice& choice : item.choices)
      choice.kl = probe.kl > 0 ? kl * choice.kl / probe.kl : 0;
    return item;
  }

  double KlOf(const std::vector<WeightFormat>& formats) {
    for (size_t i = 0; i < parts_.size(); ++i) Quantise(parts_[i], formats[i]);
    const double kl = probe_.KlFrom(-1);
    for (const Part& part : parts_) Restore(part);
    return kl;
  }

 private:
  // The choice that is tried, by the squared errors that are in the place of KL: the first one,
  // unless the matrix is all but on its grid.
  static FormatChoice ProbeOf(const std::vector<FormatChoice>& choices) {
    constexpr double kOnGrid = 1e-3;  // of the largest error: less than those of 8 bits to 4
    const FormatChoice& coarsest = *std::ranges::max_element(choices, {}, &FormatChoice::kl);
    return choices.front().kl < kOnGrid * coarsest.kl ? coarsest : choices.front();
  }
  double KlOfAlone(const Part& part, WeightFormat format) {
    Quantise(part, format);
    const double kl = std::max(0.0, probe_.KlFrom(part.layer));  // below 0 by rounding alone
    Restore(part);
    return kl;
  }
  void Quantise(const Part& part, WeightFormat format) {
    for (const TensorSpec* spec : part.specs) {
      const Weight w = FetchTensor(files_, *spec, *memory_);
      model_.Set(spec->target, Requantised(w, format, false, *memory_, pool_));
    }
  }
  void Restore(const Part& part) {
    for (const TensorSpec* spec : part.specs)
      model_.Set(spec->target, FetchTensor(files_, *spec, *memory_));
  }
  std::vector<float> ImportanceOf(const TensorSpec& spec) const {
    const std::vector<double>& sums = squares_[static_cast<size_t>(spec.target.id)].sums;
    if (sums.empty()) return std::vector<float>(static_cast<size_t>(spec.shape.back()), 1.0f);
    return {sums.begin(), sums.end()};
  }

  const ModelFiles& files_;
  Model& model_;
  ThreadPool pool_;
  std::shared_ptr<Memory> memory_ = MakeHostMemory();
  std::vector<InputSquares> squares_;
  Probe probe_;
  std::vector<Part> parts_;
};

FormatLosses::FormatLosses(const ModelFiles& files, const Examples& examples,
                           const std::vector<WeightFormat>& formats,
                           const FormatLossOptions& options, Model& model) {
  const int64_t tokens = std::clamp<int64_t>(kLogitValues / model.config.vocab, 1, options.tokens);
  measurement_ = std::make_unique<Measurement>(files, Sample(examples, tokens), model);
  const std::vector<Part>& parts = measurement_->parts();
  items_.reserve(parts.size());
  for (const Part& part : parts) {
    items_.push_back(measurement_->Of(part, formats));
    if (options.on_progress) options.on_progress(std::ssize(items_), std::ssize(parts));
  }
}

FormatLosses::~FormatLosses() = default;

double FormatLosses::KlOf(const std::vector<size_t>& chosen) {
  std::vector<WeightFormat> formats;
  formats.reserve(chosen.size());
  for (size_t i = 0; i < chosen.size(); ++i) formats.push_back(items_[i].choices[chosen[i]].format);
  return measurement_->KlOf(formats);
}

}  // namespace retort
