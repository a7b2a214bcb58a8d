// SPDX-License-Identifier: Apache-2.0
#include "session/run_inputs.h"

#include <nlohmann/json.hpp>

#include "model/store/fingerprint.h"

namespace retort {

std::vector<std::pair<std::string, std::string>> InputHashes(const Recipe& recipe,
                                                             const RecipeData& data,
                                                             const TeacherModel& teacher) {
  std::vector<std::pair<std::string, std::string>> out = {{"data.train", data.train.hash}};
  if (!data.eval.examples.empty()) out.emplace_back("data.eval", data.eval.hash);
  out.emplace_back("data.schema", data.answer_check
                                      ? Sha256(DumpJson(SchemaJson(data.answer_check->source())))
                                      : "none");
  if (!recipe.reward.schema.empty())
    out.emplace_back("reward.schema", Sha256OfFile(recipe.reward.schema));
  if (teacher.model) {
    out.emplace_back("teacher.path",
                     Cat(Fingerprint(teacher.files, static_cast<int>(recipe.train.threads)), " ",
                         ArchitectureHash(teacher.files.config)));
  }
  if (teacher.adapter) {
    const Path& folder = recipe.teacher.adapter;
    out.emplace_back("teacher.adapter",
                     Sha256(Cat(Sha256OfFile(folder / "adapter_model.safetensors"),
                                ReadText(folder / "adapter_config.json"))));
  }
  return out;
}

}  // namespace retort
