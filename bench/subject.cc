// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "base/error.h"
#include "bench/bench.h"
#include "bench/random_model.h"
#include "export/init_model.h"
#include "model/load.h"

namespace retort {
namespace {

void Open(const SubjectOptions& options, WeightFormat format, Subject& subject) {
  subject.weights = std::string(TraitsOf(format).name);
  subject.backend = MakeBackend({options.device, options.threads, ComputeNamed(options.compute)});
}

}  // namespace

Subject OpenSubject(const SubjectOptions& options) {
  if (options.model.empty() == options.shape.empty()) {
    throw InputError("bench: give a model (folder or GGUF file) or --shape, one of them");
  }
  Subject subject;
  if (!options.shape.empty()) {
    DenseConfig config = ShapeNamed(options.shape);
    config.max_positions = std::max(config.max_positions, options.positions);
    const WeightFormat format = FormatNamed(options.weights.empty() ? "bf16" : options.weights);
    subject.name = options.shape;
    Open(options, format, subject);
    subject.model = MakeRandomModel(config, format, *subject.backend, options.runner);
    subject.compute = subject.model->compute();
    return subject;
  }
  const ModelFiles files = OpenModel(options.model);
  if (options.positions > files.config.max_positions) {
    throw InputError(options.model, ": ", options.positions, " tokens are more than the model's ",
                     files.config.max_positions, " positions");
  }
  LoadOptions load;
  load.copy = options.runner && WorthCopying(files);
  if (options.runner) load.purpose = WeightUse::Purpose::kRunning;
  if (!options.weights.empty()) load.weights = FormatNamed(options.weights);
  subject.name = options.model;
  Open(options, load.weights.value_or(files.stored_format()), subject);
  subject.model = LoadModel(files, load, *subject.backend);
  subject.compute = subject.model->compute();
  // Weights that NF4 does not replace keep their stored format.
  const bool kept =
      load.weights == WeightFormat::kNF4 && TraitsOf(files.stored_format()).block_elements > 1;
  if (kept) subject.weights = std::string(TraitsOf(files.stored_format()).name);
  return subject;
}

}  // namespace retort
