// SPDX-License-Identifier: Apache-2.0
#include "export/verify.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/error.h"
#include "data/model_tokenizer.h"
#include "eval/agreement.h"
#include "model/load.h"
#include "model/store/target.h"

namespace retort {
namespace {

constexpr const char* kTexts[] = {
    "Once upon a time there was a little girl named Lily.",
    "The order number is 48213, and the total came to $1,299.50 (paid on 2024-03-17).",
    "{\"team\": \"billing\", \"urgency\": \"high\", \"order\": null}",
    "  two spaces,\ttabs\nand a new line\n\n",
    "naïve café 東京 😀 Ünïcödé",
    "for (int i = 0; i < n; ++i) { sum += x[i]; }",
    "I'll, you've, WE'RE; don't!!! ... ok?",
};
constexpr std::pair<const char*, const char*> kAround[] = {{"", "text"}, {"a", "b"}, {"a ", " b"}};
constexpr size_t kSampleTokens = 128;

// Logits of every token, [T,V].
std::vector<float> LogitsOf(const Model& model, const std::vector<int32_t>& ids) {
  Batch batch;
  batch.AddRow(ids, 0);
  Context context{model.backend};
  const Var hidden = model.Hidden(context, {batch});
  std::vector<int32_t> rows(ids.size());
  std::iota(rows.begin(), rows.end(), 0);
  return model.backend.ToFloats(model.Logits(context, nullptr, hidden, rows));
}

// The text whose logits are compared: all samples, because it is not known which kind of text the
// model was trained on. Cut to the model's length.
std::vector<int32_t> SampleIds(const Tokenizer& tokenizer, int64_t max_positions) {
  std::string all;
  for (const char* text : kTexts) all += Cat(text, "\n");
  std::vector<int32_t> ids = tokenizer.EncodePrompt(all);
  ids.resize(std::min({ids.size(), kSampleTokens, static_cast<size_t>(max_positions)}));
  return ids;
}

std::string CompareTokenizers(const Tokenizer& a, const Tokenizer& b, int64_t& texts) {
  for (const char* text : kTexts) {
    if (a.EncodePrompt(text) != b.EncodePrompt(text))
      return Cat("the tokens of '", text, "' differ");
    ++texts;
  }
  using PieceType = TokenizerSpec::PieceType;
  for (size_t id = 0; id < a.spec().pieces.size(); ++id) {
    const auto& piece = a.spec().pieces[id];
    const bool added = piece.type == PieceType::kControl || piece.type == PieceType::kUserDefined;
    // An added token at the beginning of a text, within a word, and between spaces.
    for (const auto& [before, after] : kAround) {
      if (!added) break;
      const std::vector<Segment> marked = {{before, false}, {piece.text, true}, {after, false}};
      if (a.Encode(marked, true) != b.Encode(marked, true))
        return Cat("the added token '", piece.text, "' is read differently");
    }
    // Words that are pieces, which some tokenizers read without their merges.
    const bool word = piece.type == PieceType::kNormal && a.spec().byte_level;
    const std::string text = word ? a.Bytes(static_cast<int32_t>(id)) : "";
    if (word && a.Encode(text, true) != b.Encode(text, true))
      return Cat("the piece '", piece.text, "' is read differently");
  }
  if (a.spec().chat_template != b.spec().chat_template) return "the chat template differs";
  if (a.spec().bos != b.spec().bos || a.spec().add_bos != b.spec().add_bos)
    return "the BOS token differs";
  return "";
}

void CompareLogits(const ModelFiles& source, const ModelFiles& file,
                   const std::vector<int32_t>& ids, int threads, VerifyReport& report) {
  const auto backend = MakeCpuBackend(threads, Compute::kF32);
  const std::vector<float> want = LogitsOf(*LoadModel(source, {}, *backend), ids);
  const std::vector<float> got = LogitsOf(*LoadModel(file, {}, *backend), ids);
  const auto vocab = static_cast<size_t>(source.config.vocab);
  AgreementSum sum;
  for (size_t t = 0; t < ids.size(); ++t)
    sum.Add(std::span(want).subspan(t * vocab, vocab), std::span(got).subspan(t * vocab, vocab));
  const Agreement mean = sum.Mean();
  report.tokens = mean.tokens;
  report.mean_kl = mean.mean_kl;
  report.largest_kl = mean.largest_kl;
  report.top1 = mean.top1;
}

}  // namespace

VerifiedExport ExportGguf(const ModelFiles& source, const Path& target,
                          const GgufExportOptions& options,
                          const std::function<void(const Path&)>& before_commit) {
  CheckTarget(target, TargetKind::kFile, {source.path});
  const TargetLock lock(target);
  return ExportLocked(source, target, options, before_commit);
}

VerifiedExport ExportLocked(const ModelFiles& source, const Path& target,
                            const GgufExportOptions& options,
                            const std::function<void(const Path&)>& before_commit) {
  StagedFile file(target);  // until it is verified
  VerifiedExport out;
  out.written = WriteGguf(source, file.path(), options);
  out.verdict = VerifyExport(source, file.path(), options.type, options.threads);
  if (!out.verdict.passed) {
    throw Failure(target.string(), ": the self-test failed, nothing is kept: ", out.verdict.fault);
  }
  if (before_commit) before_commit(file.path());
  file.Commit();
  return out;
}

Json VerifyJson(const VerifyReport& r) {
  Json j = {{"passed", r.passed},   {"texts", r.texts},           {"tokens", r.tokens},
            {"mean_kl", r.mean_kl}, {"largest_kl", r.largest_kl}, {"top1", r.top1},
            {"limit", r.limit}};
  if (!r.fault.empty()) j["fault"] = r.fault;
  return j;
}

VerifyReport VerifyExport(const ModelFiles& source, const Path& path, WeightFormat type,
                          int threads) {
  VerifyReport report;
  report.limit = TraitsOf(type).kl_limit;
  const ModelFiles file = OpenModel(path);
  const auto tokenizer = LoadTokenizer(source);
  report.fault = CompareTokenizers(*tokenizer, *LoadTokenizer(file), report.texts);
  if (!report.fault.empty()) return report;
  std::vector<int32_t> ends = source.config.ends, written = file.config.ends;
  std::sort(ends.begin(), ends.end());
  std::sort(written.begin(), written.end());
  if (!ends.empty() && ends != written) {
    report.fault = "the end tokens differ";
    return report;
  }
  CompareLogits(source, file, SampleIds(*tokenizer, source.config.max_positions), threads, report);
  report.passed = report.mean_kl <= report.limit;
  if (!report.passed)
    report.fault = Cat("mean KL ", report.mean_kl, " is above the limit of ", report.limit);
  return report;
}

}  // namespace retort
