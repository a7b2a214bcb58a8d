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
constexpr const char* kTemperatureKey = "retort.schema.temperature";

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
  if (metadata.Find(kTemperatureKey)) json["temperature"] = metadata.Number(kTemperatureKey);
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
  if (first && adapters.size() > 1) first->temperature = 1;  // fitted for one alone
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
  if (schema.temperature != 1) metadata.Set(kTemperatureKey, schema.temperature);
}

void KeepTemperature(const Path& folder, double temperature) {
  const Path record = folder / kManifestName, file = folder / kFileName;
  const bool adapter = std::filesystem::exists(record);
  const Path& path = adapter ? record : file;
  if (!std::filesystem::exists(path))
    throw InputError(folder.string(), ": carries no schema to keep a temperature with");
  Json json = ReadJson(path);
  Json& schema = adapter ? json["base"]["answers"] : json;
  GrammarSource source = ReadSchemaJson(schema, path.string() + (adapter ? ": 'answers'" : ""));
  source.temperature = temperature;
  schema = SchemaJson(source);
  WriteTextAtomically(path, DumpJson(json, 2) + "\n");
}

}  // namespace retort
