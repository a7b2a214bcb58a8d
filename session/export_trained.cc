// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"
#include "export/merge.h"
#include "export/verify.h"
#include "session/session.h"

namespace retort {

std::vector<std::string> ExportTrained(const Recipe& recipe, const Path& folder) {
  const ExportRecipe& wanted = recipe.exports;
  if (wanted.gguf.empty() && wanted.out.empty()) return {};
  const Path out = wanted.out.empty() ? folder / "export" : wanted.out;
  const Path merged = recipe.adapter.kind == "none" ? folder / "model" : out / "merged";
  std::filesystem::create_directories(out);
  std::vector<std::string> made;
  if (recipe.adapter.kind != "none" && !std::filesystem::exists(merged)) {
    const MergeReport report =
        Merge({{}, folder / "adapter", merged, wanted.merge == "auto" ? "" : wanted.merge});
    made.push_back(Cat(merged.string(), ": merged onto ", report.onto));
  }
  for (const std::string& type : wanted.gguf) {
    const Path file = out / Cat(recipe.name, "-", type, ".gguf");
    const VerifiedExport done = ExportGguf(OpenModel(merged), file, {FormatNamed(type)});
    made.push_back(Cat(file.string(), ": ", BytesText(done.written.bytes), ", verified, mean KL ",
                       done.verdict.mean_kl));
  }
  return made;
}

}  // namespace retort
