// SPDX-License-Identifier: Apache-2.0
// Reads a finished GGUF or folder back and compares it with its source model.
#pragma once

#include <functional>
#include <string>

#include "base/json.h"
#include "export/gguf_export.h"
#include "model/model_files.h"

namespace retort {

struct VerifyReport {
  bool passed = false;
  std::string fault;   // if not passed: what differs, in one line
  int64_t texts = 0;   // sample texts with equal ids
  int64_t tokens = 0;  // tokens whose logits were compared
  double mean_kl = 0;  // KL(source || file) per token, natural logs
  double largest_kl = 0;
  double top1 = 0;   // share of tokens with the same most probable next token
  double limit = 0;  // of mean_kl: BlockFormat::kl_limit of the file's type
};
Json VerifyJson(const VerifyReport& report);

// Compares the tokens of sample texts, the template, the end tokens, and the logits of a sample
// text. Both models compute in f32.
VerifyReport VerifyExport(const ModelFiles& source, const Path& written, WeightFormat type,
                          int threads);

// The work of `retort export`: writes the file beside its target, verifies it, and renames it. If
// the verification fails, removes the file and throws Error{kFailure} with the fault.
// `before_commit` is given the verified file before it gets its place.
struct VerifiedExport {
  GgufExportResult written;
  VerifyReport verdict;
};
VerifiedExport ExportGguf(const ModelFiles& source, const Path& target,
                          const GgufExportOptions& options,
                          const std::function<void(const Path&)>& before_commit = {});
// The same for a target that the caller has checked and locked, with TargetLock.
VerifiedExport ExportLocked(const ModelFiles& source, const Path& target,
                            const GgufExportOptions& options,
                            const std::function<void(const Path&)>& before_commit = {});

}  // namespace retort
