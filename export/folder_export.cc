// SPDX-License-Identifier: Apache-2.0
#include "export/folder_export.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "export/folder_tensors.h"

namespace retort {
namespace {

// As transformers writes it, which reads the folder by this.
Json BitsandbytesJson(WeightFormat format, const std::string& dtype) {
  return {{"quant_method", "bitsandbytes"},
          {"load_in_4bit", true},
          {"load_in_8bit", false},
          {"bnb_4bit_quant_type", TraitsOf(format).name},
          {"bnb_4bit_use_double_quant", true},
          {"bnb_4bit_compute_dtype", dtype},
          {"bnb_4bit_quant_storage", "uint8"}};
}

}  // namespace

FolderExport ExportFolder(const ModelFiles& source, const Path& out,
                          const FolderExportOptions& options) {
  const WeightFormat wanted =
      options.type == "auto" ? WeightFormat::kF32 : FormatNamed(options.type);
  const bool four_bit = TraitsOf(wanted).flattened;
  if (!source.gguf && !source.quantised() && !four_bit)
    throw InputError(source.path.string(),
                     ": is a Hugging Face folder already; --to hf reads a GGUF, or writes nf4 or "
                     "fp4");
  ExportedFolder folder(source, out, options.threads);
  const WeightFormat type = four_bit ? wanted : FolderFormat(source, options.type);
  const FolderTensors tensors(source, type, folder.pool());
  std::vector<std::string> notes = folder.WriteModel(
      tensors.plain(), four_bit ? BitsandbytesJson(type, TorchType(tensors.plain())) : Json());
  ShardWriter writer(folder.path(), options.shard_bytes);
  tensors.Declare(writer);
  for (const TensorSpec& spec : source.layout.tensors) tensors.Write(spec, writer);
  writer.Commit();
  return folder.Commit(type, std::move(notes));
}

}  // namespace retort
