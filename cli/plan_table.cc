// SPDX-License-Identifier: Apache-2.0
#include "cli/plan_table.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "cli/flags.h"
#include "export/init_model.h"
#include "model/spec/gguf_config.h"
#include "session/memory_table.h"

namespace retort {
namespace {

struct SizedModel {
  std::string name;
  Architecture architecture;
};

Architecture ArchitectureAt(const Path& path) {
  if (std::filesystem::is_directory(path)) return ReadConfig(path);
  if (path.filename() == "config.json") return ReadConfig(path.parent_path());
  return ConfigFromGguf(ReadGguf(path));
}

std::vector<SizedModel> ModelsNamed(const std::vector<std::string>& names) {
  std::vector<SizedModel> models;
  for (const std::string& name : names) {
    if (std::filesystem::exists(name)) {
      models.push_back({name, ArchitectureAt(name)});
      continue;
    }
    const std::vector<std::string> shapes = ShapeNames(name);
    if (shapes.empty() && name.find(',') == std::string::npos) {
      throw InputError("--table ", Quoted(name), ": no such file, and no shape is called so; use ",
                       Join(ShapeNames(""), ", "), " or six numbers L,D,H,KV,F,V");
    }
    if (shapes.empty()) models.push_back({name, ShapeNamed(name)});
    for (const std::string& shape : shapes) models.push_back({shape, ShapeNamed(shape)});
  }
  return models;
}

std::string ParametersText(int64_t parameters) {
  char text[32];
  const auto count = static_cast<double>(parameters);
  if (count < 1e9)
    std::snprintf(text, sizeof text, "%.0fM", count / 1e6);
  else
    std::snprintf(text, sizeof text, "%.2fB", count / 1e9);
  return text;
}

std::string Padded(const std::string& text, size_t width) {
  return text.size() < width ? text + std::string(width - text.size(), ' ') : text;
}

std::string Heading(const Recipe& recipe) {
  return Cat("memory of the process while it trains: ", recipe.train.batch_rows, " x ",
             recipe.data.max_tokens, " tokens at once, rank ", recipe.adapter.rank, ", ",
             recipe.train.optimizer, ", activations ",
             recipe.train.gradient_checkpointing == "block" ? "recomputed block by block" : "kept");
}

}  // namespace

void ShowMemoryTable(const std::vector<std::string>& names,
                     const std::vector<std::string>& settings, bool json) {
  constexpr size_t kCell = 14;
  const std::vector<SizedModel> models = ModelsNamed(names);
  size_t wide = 0;
  for (const SizedModel& m : models) wide = std::max(wide, m.name.size() + 2);
  std::string head = Padded("", wide) + Padded("parameters", kCell);
  for (const TableColumn& column : TableColumns()) head += Padded(column.name, kCell);
  if (!json) {
    PrintLine(Heading(TableRecipe(settings, TableColumns().front())));
    PrintLine(head);
  }
  Json out = Json::array();
  for (const SizedModel& model : models) {
    const int64_t parameters = LayoutOf(model.architecture).parameters();
    std::string line = Padded(model.name, wide) + Padded(ParametersText(parameters), kCell);
    Json bytes = Json::object();
    for (const TableColumn& column : TableColumns()) {
      const MemoryPlan plan =
          PlanWithoutWeights(model.architecture, TableRecipe(settings, column), column.stored);
      bytes[column.name] = plan.process;
      line += Padded(BytesText(plan.process), kCell);
    }
    out.push_back(
        Json{{"model", model.name}, {"parameters", parameters}, {"process_bytes", bytes}});
    if (!json) PrintLine(line);
  }
  if (json) PrintJson({{"models", out}});
}

}  // namespace retort
