// SPDX-License-Identifier: Apache-2.0
#include "model/store/answer_schema.h"

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace retort {
namespace {

constexpr const char* kFileName = "answer_schema.json";
constexpr const char* kSchemaKey = "retort.schema";
constexpr const char* kSpaceKey = "retort.schema.json_space";

}  // namespace

std::optional<GrammarSource> AnswerSchemaOf(const ModelFiles& files) {
  if (!files.gguf) {
    const Path file = files.path / kFileName;
    if (!std::filesystem::exists(file)) return std::nullopt;
    return ReadSchemaJson(ReadJson(file), file.string());
  }
  const GgufMetadata& metadata = files.gguf->metadata;
  if (!metadata.Find(kSchemaKey)) return std::nullopt;
  const std::string where = Cat(files.path.string(), ": '", kSchemaKey, "'");
  Json json = {{"schema", ParseJson(metadata.Text(kSchemaKey), where)}};
  if (metadata.Find(kSpaceKey)) json["json_space"] = metadata.Text(kSpaceKey);
  return ReadSchemaJson(json, where);
}

void WriteAnswerSchema(const Path& folder, const GrammarSource& schema) {
  WriteTextAtomically(folder / kFileName, DumpJson(SchemaJson(schema), 2) + "\n");
}

void AnswerSchemaToGguf(const GrammarSource& schema, GgufMetadata& metadata) {
  const Json json = SchemaJson(schema);
  metadata.Set(kSchemaKey, schema.text);
  metadata.Set(kSpaceKey, json.at("json_space").get<std::string>());
}

}  // namespace retort
