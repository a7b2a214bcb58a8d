// SPDX-License-Identifier: Apache-2.0
#include "session/open_data.h"

#include <algorithm>

#include "data/audit.h"
#include "data/model_tokenizer.h"

namespace retort {
namespace {

Rows OpenRows(const std::vector<DataSource>& sources, const std::string& format) {
  std::vector<RowSource> out;
  out.reserve(sources.size());
  for (const DataSource& s : sources) out.push_back({s.path, s.weight});
  return Rows::Open(out, ParseRowFormat(format));
}

}  // namespace

ExampleOptions ExampleOptionsOf(const DataRecipe& d, int64_t max_positions) {
  ExampleOptions options;
  options.loss_on = ParseLossOn(d.loss_on);
  options.over_length = ParseOverLength(d.over_length);
  options.audit = ParseAudit(d.audit);
  // Positions restart in every row, so the model limits only the length of rows. A packed sequence
  // may be longer.
  options.max_tokens = std::min(d.max_tokens, max_positions);
  options.add_eos = d.add_eos;
  return options;
}

RecipeData OpenRecipeData(const Recipe& recipe, const ModelFiles& files) {
  const DataRecipe& d = recipe.data;
  const ExampleOptions options = ExampleOptionsOf(d, files.config.max_positions);
  RecipeData out;
  out.tokenizer = LoadTokenizer(files);
  const auto make = [&](const Rows& rows) {
    if (rows.HasMessages() && !out.chat) {
      const std::string where = recipe.model.path.string();
      out.chat = ChatTemplate::Resolve(d.template_name, out.tokenizer->spec(), where);
      out.chat->CheckMarks(*out.tokenizer, where);
      out.chat_name = std::string(out.chat->name());
    }
    return MakeExamples(rows, *out.tokenizer, out.chat ? &*out.chat : nullptr, options);
  };
  out.rows = OpenRows(d.train, d.format);
  out.train = make(out.rows);
  if (d.eval.empty()) return out;
  const Rows held_out = OpenRows(d.eval, d.format);
  out.eval = make(held_out);
  if (const std::string note = OverlapNote(out.train, out.eval, held_out); !note.empty())
    out.train.notes.push_back(note);
  return out;
}

std::string WhereOf(const RecipeData& data, const Example& example) {
  return data.rows.Where(example.row);
}

}  // namespace retort
