// SPDX-License-Identifier: Apache-2.0
#include "export/folder_export.h"

#include "base/error.h"
#include "base/threads.h"
#include "export/folder_tensors.h"
#include "model/store/folders.h"
#include "model/store/target.h"

namespace retort {
namespace {

int64_t BytesIn(const Path& folder) {
  int64_t bytes = 0;
  for (const auto& file : std::filesystem::directory_iterator(folder))
    bytes += static_cast<int64_t>(file.file_size());
  return bytes;
}

}  // namespace

FolderExport ExportFolder(const ModelFiles& source, const Path& out,
                          const FolderExportOptions& options) {
  if (!source.gguf)
    throw InputError(source.path.string(),
                     ": is a Hugging Face folder already; --to hf reads a GGUF");
  CheckTarget(out, TargetKind::kFolder, {source.path});
  const int threads = options.threads > 0 ? options.threads : AvailableProcessors();
  FolderExport done;
  done.type = FolderFormat(source, options.type);
  const TargetLock lock(out);
  AtomicFolder folder(out);
  done.notes = WriteModelFiles(source, folder.path(), TorchType(done.type));
  ThreadPool pool(threads);
  const FolderTensors tensors(source, done.type, pool);
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
