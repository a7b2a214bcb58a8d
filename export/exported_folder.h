// SPDX-License-Identifier: Apache-2.0
// A Hugging Face folder that is made of a model's files: written beside its target, compared with
// its source, and only then put there.
#pragma once

#include <string>
#include <vector>

#include "base/threads.h"
#include "export/verify.h"
#include "model/store/target.h"

namespace retort {

struct FolderExport {
  WeightFormat type = WeightFormat::kF32;  // of the weights
  int64_t bytes = 0;                       // of all files
  std::vector<std::string> notes;  // what other readers of the tokenizer's files do otherwise
  VerifyReport verdict;
};

class ExportedFolder {
 public:
  // Throws as CheckTarget and TargetLock do. The source must outlive it. threads: 0: all.
  ExportedFolder(const ModelFiles& source, const Path& out, int threads);

  const Path& path() const { return folder_.path(); }  // write the tensors here
  ThreadPool& pool() { return pool_; }
  // Writes all other files: those of a model whose plain weights are of that type. `quantization`
  // is what config.json says of the others; null: nothing. Returns FolderExport's notes.
  std::vector<std::string> WriteModel(WeightFormat plain, const Json& quantization);
  // Compares the folder with its source as one of that type, and puts it into place. Throws
  // Error{kFailure} if they differ.
  FolderExport Commit(WeightFormat type, std::vector<std::string> notes);

 private:
  const ModelFiles& source_;
  const Path out_;
  const TargetLock lock_;
  AtomicFolder folder_;
  ThreadPool pool_;
};

// Of all files in a folder that has no folders.
int64_t BytesIn(const Path& folder);

}  // namespace retort
