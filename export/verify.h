// SPDX-License-Identifier: Apache-2.0
// A finished GGUF, opened again and compared with the model it was made from.
#pragma once

#include <string>

#include "base/json.h"
#include "export/gguf_export.h"
#include "model/load.h"

namespace retort {

struct VerifyReport {
  bool passed = false;
  std::string fault;   // what differs, when not passed: one line
  int64_t texts = 0;   // whose ids agreed
  int64_t tokens = 0;  // whose logits were compared
  double mean_kl = 0;  // KL(source || file) per token, natural logs
  double largest_kl = 0;
  double top1 = 0;   // share of tokens whose likeliest next one is the same
  double limit = 0;  // on mean_kl: BlockFormat::kl_limit of the file's type
};
Json VerifyJson(const VerifyReport& report);

// Compares tokens of sample texts, template, end tokens, and the logits of a sample text, both
// computed in f32.
VerifyReport VerifyGguf(const ModelFiles& source, const Path& gguf, WeightFormat type, int threads);

// Writes the file beside its place, verifies it and puts it in place: what `retort export` does.
// Throws Error{kFailure} with the fault, and keeps nothing, when the verdict is no.
struct VerifiedExport {
  GgufExportResult written;
  VerifyReport verdict;
};
VerifiedExport ExportGguf(const ModelFiles& source, const Path& target,
                          const GgufExportOptions& options);

}  // namespace retort
