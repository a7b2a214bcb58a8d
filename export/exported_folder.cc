// SPDX-License-Identifier: Apache-2.0
#include "export/exported_folder.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "export/folder_tensors.h"
#include "model/store/answer_schema.h"
#include "model/store/folders.h"

namespace retort {
namespace {

// A target that may be made: no lock is taken for another.
const Path& Checked(const Path& out, const ModelFiles& source) {
  CheckTarget(out, TargetKind::kFolder, {source.path});
  return out;
}

}  // namespace

ExportedFolder::ExportedFolder(const ModelFiles& source, const Path& out, int threads)
    : source_(source),
      out_(Checked(out, source)),
      lock_(out),
      folder_(out),
      pool_(ThreadsFor(threads)) {}

std::vector<std::string> ExportedFolder::WriteModel(WeightFormat plain, const Json& quantization) {
  std::vector<std::string> notes = WriteModelFiles(source_, path(), TorchType(plain));
  if (const auto schema = AnswerSchemaOf(source_)) WriteAnswerSchema(path(), *schema);
  if (quantization.is_null()) return notes;
  Json config = ReadJson(path() / "config.json");
  config["quantization_config"] = quantization;
  WriteTextAtomically(path() / "config.json", DumpJson(config, 2) + "\n");
  return notes;
}

FolderExport ExportedFolder::Commit(WeightFormat type, std::vector<std::string> notes) {
  FolderExport done{.type = type, .notes = std::move(notes)};
  done.verdict = VerifyExport(source_, path(), type, pool_.threads());
  if (!done.verdict.passed)
    throw Failure(out_.string(), ": the self-test failed, nothing is kept: ", done.verdict.fault);
  done.bytes = BytesIn(path());
  folder_.Commit();
  return done;
}

int64_t BytesIn(const Path& folder) {
  int64_t bytes = 0;
  for (const auto& file : std::filesystem::directory_iterator(folder))
    bytes += static_cast<int64_t>(file.file_size());
  return bytes;
}

}  // namespace retort
