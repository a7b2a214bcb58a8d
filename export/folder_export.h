// SPDX-License-Identifier: Apache-2.0
// Converts a GGUF to a Hugging Face folder, which can be trained as a whole, merged, exported to
// GGUF again, and opened by transformers; or a folder to one quantised as by bitsandbytes, and
// back.
#pragma once

#include <string>

#include "export/exported_folder.h"
#include "model/store/shard_writer.h"

namespace retort {

struct FolderExportOptions {
  std::string type = "auto";  // FolderFormat's, nf4 or fp4
  int threads = 0;            // 0: all
  int64_t shard_bytes = ShardWriter::kShardBytes;
};

// Writes the folder beside `out`, compares it with its source as ExportGguf does, and renames it.
// Works tensor by tensor, in panels of rows. Throws Error{kInput} if the source is a folder of that
// kind already, or for what a folder's files cannot say; Error{kFailure} if the comparison fails.
FolderExport ExportFolder(const ModelFiles& source, const Path& out,
                          const FolderExportOptions& options);

}  // namespace retort
