// SPDX-License-Identifier: Apache-2.0
#include "cli/inspect_data.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "data/rows.h"
#include "recipes/recipe_reader.h"

namespace retort {
namespace {

constexpr int64_t kReadRows = 10000;  // whose content is looked at
constexpr int64_t kMeasuredRows = 1000000;
constexpr size_t kMostRecipe = size_t{1} << 20;  // bytes

// "messages" and so on.
std::string_view FormatText(RowFormat format) {
  for (const std::string_view name :
       {"messages", "prompt_completion", "alpaca", "text", "tokens", "preference", "unpaired"}) {
    if (ParseRowFormat(name) == format) return name;
  }
  return "auto";
}

// What the first rows hold.
struct Content {
  std::map<std::string, int64_t> roles;  // messages by their role
  int64_t read = 0, with_tools = 0, faulty = 0;
  std::string first_fault;

  void Add(const Row& row) {
    for (const Message& m : row.messages) ++roles[m.role];
    with_tools += !row.tools.empty();
  }
};

Content ContentOf(const Rows& rows) {
  Content out;
  for (; out.read < std::min(rows.size(), kReadRows); ++out.read) {
    try {
      out.Add(rows.Read(out.read));
    } catch (const Error& e) {
      if (e.kind() != Error::Kind::kInput) throw;
      if (out.faulty++ == 0) out.first_fault = e.what();
    }
  }
  return out;
}

void AddSizes(const Rows& rows, InspectReport& report) {
  std::vector<int64_t> sizes(static_cast<size_t>(std::min(rows.size(), kMeasuredRows)));
  for (size_t i = 0; i < sizes.size(); ++i) sizes[i] = rows.Bytes(static_cast<int64_t>(i));
  std::ranges::sort(sizes);
  report.AddFact("shortest row, bytes", sizes.front());
  report.AddFact("median", sizes[sizes.size() / 2]);
  report.AddFact("99 % have at most", sizes[(sizes.size() * 99 + 99) / 100 - 1]);
  report.AddFact("longest", sizes.back());
}

}  // namespace

bool IsRecipe(const Path& path) {
  std::error_code problem;
  if (path.extension() != ".json" || std::filesystem::file_size(path, problem) > kMostRecipe)
    return false;
  try {
    const Json json = ReadJson(path, /*allow_comments=*/true);
    return json.is_object() && json.contains("data");
  } catch (const Error&) {  // rows in lines are no JSON
    return false;
  }
}

bool IsRowsName(const Path& path) {
  const std::string end = path.extension().string();
  return end == ".jsonl" || end == ".json" || end == ".csv" || end == ".tsv";
}

InspectReport InspectRecipe(const Path& path) {
  InspectReport report("recipe", path);
  const Recipe recipe = ReadRecipe(path);
  report.AddFacts(ReadJson(path, /*allow_comments=*/true));
  const auto missing = [&](const char* key, const Path& file) {
    if (!file.empty() && !std::filesystem::exists(file))
      report.AddFact("is not there", Cat(key, ": ", file.string()));
  };
  missing("model.path", recipe.model.path);
  for (const DataSource& source : recipe.data.train) missing("data.train", source.path);
  for (const DataSource& source : recipe.data.eval) missing("data.eval", source.path);
  missing("teacher.path", recipe.teacher.path);
  missing("adapter.init", recipe.adapter.init);
  return report;
}

InspectReport InspectRows(const Path& path) {
  InspectReport report("rows", path);
  const Rows rows = Rows::Open({{path}});
  report.AddFact("format", FormatText(rows.Format(0)));
  report.AddFact("bytes", std::filesystem::file_size(path));
  report.AddFact("rows", rows.size());
  AddSizes(rows, report);
  const Content content = ContentOf(rows);
  report.AddFact("read", content.read);
  report.AddFact("of these faulty", content.faulty);
  if (content.faulty > 0) report.AddFact("first fault", content.first_fault);
  if (!content.roles.empty()) report.AddFact("messages by role", Json(content.roles));
  if (content.with_tools > 0) report.AddFact("rows with tools", content.with_tools);
  if (const std::string note = rows.UnreadNote(); !note.empty()) report.AddFact("note", note);
  const std::string_view text(reinterpret_cast<const char*>(rows.File(0).bytes().data()),
                              rows.File(0).bytes().size());
  report.AddFact("begins", std::string(text.substr(0, std::min<size_t>(text.find('\n'), 300))));
  return report;
}

}  // namespace retort
