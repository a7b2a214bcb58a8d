// SPDX-License-Identifier: Apache-2.0
#include "session/run_inputs.h"

#include "data/teacher_cache.h"
#include "model/store/fingerprint.h"

namespace retort {
namespace {

std::string HashOfExamples(const std::vector<Example>& examples) {
  std::string text;
  for (const Example& example : examples) {
    const ExampleHash hash = HashOf(example);
    text.append(reinterpret_cast<const char*>(hash.data()), hash.size());
    text += example.joined ? '+' : ' ';
  }
  return Sha256(text);
}

}  // namespace

std::vector<std::pair<std::string, std::string>> InputHashes(const Recipe& recipe,
                                                             const RecipeData& data,
                                                             const TeacherModel& teacher) {
  std::vector<std::pair<std::string, std::string>> out = {
      {"data.train", HashOfExamples(data.train.examples)}};
  if (!data.eval.examples.empty())
    out.emplace_back("data.eval", HashOfExamples(data.eval.examples));
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
