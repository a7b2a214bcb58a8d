// SPDX-License-Identifier: Apache-2.0
#include "export/merge_audit.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/threads.h"
#include "data/model_tokenizer.h"
#include "model/store/chat_files.h"

namespace retort {
namespace {

constexpr int64_t kAuditLength = 1024;  // tokens of an example at most

// A text's tokens, in pieces; all but the first of a piece carry loss.
std::vector<Example> PiecesOf(const Path& file, const Tokenizer& tokenizer, int64_t length) {
  const std::vector<int32_t> ids = tokenizer.EncodePrompt(ReadText(file));
  std::vector<Example> out;
  for (int64_t begin = 0; begin < std::ssize(ids); begin += length) {
    Example piece;
    piece.row = std::ssize(out);
    piece.ids.assign(ids.begin() + begin, ids.begin() + std::min(std::ssize(ids), begin + length));
    piece.labels = piece.ids;
    if (piece.size() > 1) out.push_back(std::move(piece));
  }
  if (out.empty()) throw InputError(file.string(), ": has no text of two tokens or more");
  return out;
}

Examples ExamplesOf(const MergeAuditOptions& options, const ModelFiles& files) {
  const auto tokenizer = LoadTokenizer(files);
  const int64_t length = std::min(kAuditLength, files.config.max_positions);
  if (options.data.extension() == ".txt") return PiecesOf(options.data, *tokenizer, length);
  const Rows rows = Rows::Open({{options.data}}, RowFormat::kAuto);
  std::optional<ChatTemplate> chat;
  if (rows.HasMessages())
    chat = ChatTemplateFor("auto", tokenizer->spec(), options.adapters.front().folder,
                           files.path.string());
  ExampleOptions examples;
  examples.over_length = OverLength::kTruncate;
  examples.audit = Audit::kOff;
  examples.max_tokens = length;
  return MakeExamples(rows, *tokenizer, chat ? &*chat : nullptr, examples).examples;
}

Json AgreementJson(const Agreement& a) {
  return {
      {"tokens", a.tokens}, {"mean_kl", a.mean_kl}, {"largest_kl", a.largest_kl}, {"top1", a.top1}};
}

}  // namespace

MergeAudit AuditMerge(const MergeAuditOptions& options, const BaseRecord& record) {
  const ModelFiles base = OpenModel(options.base), merged = OpenModel(options.merged);
  const Examples examples = ExamplesOf(options, base);
  const auto backend =
      MakeCpuBackend(options.threads > 0 ? options.threads : AvailableProcessors(), Compute::kF32);
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
