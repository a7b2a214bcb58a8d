// SPDX-License-Identifier: Apache-2.0
#include "model/store/answer_schema.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "model/store/base_record.h"

namespace retort {
namespace {

constexpr const char* kFileName = "answer_schema.json";
constexpr const char* kSchemaKey = "retort.schema";
constexpr const char* kSpaceKey = "retort.schema.json_space";
constexpr const char* kBeforeKey = "retort.schema.before";

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
  if (metadata.Find(kBeforeKey)) json["before"] = metadata.Text(kBeforeKey);
  return ReadSchemaJson(json, where);
}

std::optional<GrammarSource> AnswerSchemaOf(const std::vector<WeightedAdapter>& adapters) {
  const auto own = [](const WeightedAdapter& one) {
    const auto record = ReadBaseRecord(one.folder);
    return record ? record->answers : std::nullopt;
  };
  if (adapters.empty()) return std::nullopt;
  std::optional<GrammarSource> first = own(adapters.front());
  for (const WeightedAdapter& one : adapters)
    if (own(one) != first) return std::nullopt;
  return first;
}

void WriteAnswerSchema(const Path& folder, const GrammarSource& schema) {
  WriteTextAtomically(folder / kFileName, DumpJson(SchemaJson(schema), 2) + "\n");
}

void AnswerSchemaToGguf(const GrammarSource& schema, GgufMetadata& metadata) {
  const Json json = SchemaJson(schema);
  metadata.Set(kSchemaKey, schema.text);
  metadata.Set(kSpaceKey, json.at("json_space").get<std::string>());
  if (!schema.before.empty()) metadata.Set(kBeforeKey, schema.before);
}

}  // namespace retort
