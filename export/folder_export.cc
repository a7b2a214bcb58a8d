// SPDX-License-Identifier: Apache-2.0
#include "export/folder_export.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/threads.h"
#include "export/folder_tensors.h"
#include "model/store/answer_schema.h"
#include "model/store/folders.h"
#include "model/store/target.h"

namespace retort {
namespace {

// As transformers writes it, which reads the folder by this.
void SayQuantised(const Path& config, WeightFormat format, const std::string& dtype) {
  Json json = ReadJson(config);
  json["quantization_config"] = {{"quant_method", "bitsandbytes"},
                                 {"load_in_4bit", true},
                                 {"load_in_8bit", false},
                                 {"bnb_4bit_quant_type", TraitsOf(format).name},
                                 {"bnb_4bit_use_double_quant", true},
                                 {"bnb_4bit_compute_dtype", dtype},
                                 {"bnb_4bit_quant_storage", "uint8"}};
  WriteTextAtomically(config, DumpJson(json, 2) + "\n");
}

}  // namespace

int64_t BytesIn(const Path& folder) {
  int64_t bytes = 0;
  for (const auto& file : std::filesystem::directory_iterator(folder))
    bytes += static_cast<int64_t>(file.file_size());
  return bytes;
}

FolderExport ExportFolder(const ModelFiles& source, const Path& out,
                          const FolderExportOptions& options) {
  const WeightFormat wanted =
      options.type == "auto" ? WeightFormat::kF32 : FormatNamed(options.type);
  if (!source.gguf && !source.quantised() && !TraitsOf(wanted).flattened)
    throw InputError(source.path.string(),
                     ": is a Hugging Face folder already; --to hf reads a GGUF, or writes nf4 or "
                     "fp4");
  CheckTarget(out, TargetKind::kFolder, {source.path});
  const int threads = ThreadsFor(options.threads);
  FolderExport done;
  done.type = TraitsOf(wanted).flattened ? wanted : FolderFormat(source, options.type);
  const TargetLock lock(out);
  AtomicFolder folder(out);
  ThreadPool pool(threads);
  const FolderTensors tensors(source, done.type, pool);
  done.notes = WriteModelFiles(source, folder.path(), TorchType(tensors.plain()));
  if (const auto schema = AnswerSchemaOf(source)) WriteAnswerSchema(folder.path(), *schema);
  if (TraitsOf(done.type).flattened)
    SayQuantised(folder.path() / "config.json", done.type, TorchType(tensors.plain()));
  ShardWriter writer(folder.path(), options.shard_bytes);
  tensors.Declare(writer);
  for (const TensorSpec& spec : source.layout.tensors) tensors.Write(spec, writer);
  writer.Commit();
  done.verdict = VerifyExport(source, folder.path(), done.type, threads);
  if (!done.verdict.passed)
    throw Failure(out.string(), ": the self-test failed, nothing is kept: ", done.verdict.fault);
  done.bytes = BytesIn(folder.path());
  folder.Commit();
  return done;
}

}  // namespace retort
