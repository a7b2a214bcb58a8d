// SPDX-License-Identifier: Apache-2.0
#include "export/merge_audit.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "data/model_tokenizer.h"
#include "data/text_pieces.h"
#include "model/load.h"
#include "model/store/chat_files.h"

namespace retort {
namespace {

constexpr int64_t kAuditLength = 1024;  // tokens of an example at most

Json AgreementJson(const Agreement& a) {
  return {
      {"tokens", a.tokens}, {"mean_kl", a.mean_kl}, {"largest_kl", a.largest_kl}, {"top1", a.top1}};
}

}  // namespace

Examples AuditExamples(const Path& data, const Path& adapter, const ModelFiles& base) {
  const auto tokenizer = LoadTokenizer(base);
  const int64_t length = std::min(kAuditLength, base.config.max_positions);
  if (data.extension() == ".txt") return TextPieces(data, *tokenizer, length);
  const Rows rows = Rows::Open({{data}}, RowFormat::kAuto);
  std::optional<ChatTemplate> chat;
  if (rows.HasMessages())
    chat = ChatTemplateFor("auto", tokenizer->spec(), adapter, base.path.string());
  ExampleOptions options;
  options.over_length = OverLength::kTruncate;
  options.audit = Audit::kOff;
  options.max_tokens = length;
  const ExampleSet set = MakeExamples(rows, *tokenizer, chat ? &*chat : nullptr, options);
  for (const Example& example : set.examples) {
    if (example.LossTokens() > 0) return set.examples;
  }
  throw InputError(data.string(), ": has no token that carries loss, to compare predictions on");
}

MergeAudit AuditMerge(const MergeAuditOptions& options, const Examples& examples,
                      const BaseRecord& record) {
  const ModelFiles base = OpenModel(options.base), merged = OpenModel(options.merged);
  const auto backend = MakeCpuBackend(options.threads, Compute::kF32);
  LoadOptions as_trained;
  if (record.weights == "nf4") as_trained.weights = WeightFormat::kNF4;
  as_trained.double_quant = record.double_quant;
  const auto trained = LoadModel(base, as_trained, *backend);
  const auto original = LoadModel(base, {}, *backend);
  const auto result = LoadModel(merged, {}, *backend);
  const auto adapter = LoadAdapters(options.adapters, base.layout, *backend, {&base});
  const std::vector<Agreement> found = CompareModels(
      {trained.get(), adapter.get()},
      {{result.get(), nullptr}, {trained.get(), nullptr}, {original.get(), adapter.get()}},
      examples, options.most_tokens);
  return {found[0], found[1], found[2], record.weights};
}

Json MergeAuditJson(const MergeAudit& audit) {
  return {{"merged", AgreementJson(audit.merged)},
          {"base", AgreementJson(audit.base)},
          {"original", AgreementJson(audit.original)},
          {"lost", audit.lost()}};
}

}  // namespace retort
