// SPDX-License-Identifier: Apache-2.0
#include "session/open_data.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "base/error.h"
#include "base/random.h"
#include "base/user_folder.h"
#include "data/audit.h"
#include "data/model_tokenizer.h"
#include "model/store/run_folder.h"
#include "session/defaults.h"

namespace retort {
namespace {

Rows OpenRows(const std::vector<DataSource>& sources, const std::string& format,
              Rows::Use use = Rows::Use::kAnswered) {
  std::vector<RowSource> out;
  out.reserve(sources.size());
  for (const DataSource& s : sources) out.push_back({s.path, s.weight});
  return Rows::Open(out, ParseRowFormat(format), use);
}

std::vector<int32_t> TaughtEnds(const RecipeData& data, bool add_eos, const std::string& where) {
  std::vector<int32_t> ends;
  if (data.rows.HasMessages()) ends.push_back(data.chat->CheckMarks(*data.tokenizer, where));
  const int32_t eos = data.tokenizer->spec().eos;
  if (add_eos && eos >= 0 && data.rows.HasTexts() && std::ranges::find(ends, eos) == ends.end())
    ends.push_back(eos);
  return ends;
}

// The number of groups of each source, which are drawn together.
std::vector<int64_t> GroupsBySource(const RecipeData& data) {
  std::vector<int64_t> groups(data.rows.sources().size());
  for (const Example& e : data.train.examples)
    groups[static_cast<size_t>(data.rows.Source(e.row))] += !e.joined;
  return groups;
}

std::vector<double> WeightsOf(const Rows& rows) {
  std::vector<double> weights;
  weights.reserve(rows.sources().size());
  for (const RowSource& source : rows.sources()) weights.push_back(source.weight);
  return weights;
}

bool Differ(const std::vector<double>& weights) {
  return !weights.empty() && std::ranges::count(weights, weights[0]) < std::ssize(weights);
}

// Says how often the rows of each source are drawn, if their weights differ.
void NoteWeights(RecipeData& data) {
  const std::vector<double> weights = WeightsOf(data.rows);
  if (!Differ(weights)) return;
  const std::vector<int64_t> groups = GroupsBySource(data);
  const std::vector<double> rates = DrawRates(groups, weights);
  for (size_t s = 0; s < groups.size(); ++s) {
    const int64_t draws = DrawsBefore(groups[s], rates[s], 1);
    const auto epochs = static_cast<int64_t>(std::ceil(1 / rates[s]));
    data.train.notes.push_back(
        Cat(data.rows.sources()[s].path.string(), ": weight ", weights[s], ", ", draws,
            " draws an epoch from ", groups[s], " rows",
            epochs > 1 ? Cat("; every row has been drawn after ", epochs, " epochs") : ""));
  }
}

ExampleWork ExampleWorkOf(const Recipe& recipe, const OpenWork& work) {
  ExampleWork out;
  out.threads = static_cast<int>(recipe.train.threads);
  out.keep = work.keep;
  out.on_progress = work.on_progress;
  const std::string& cache = recipe.data.cache;
  if (cache == "none") return out;
  if (cache != "auto") {
    out.cache = cache;
    out.cached_rows = 0;
  } else if (const auto user = UserFolder("XDG_CACHE_HOME", ".cache")) {
    out.cache = *user / "rows";
  }
  return out;
}

struct SplitRows {
  Rows train, held_out;
};

// Takes the rows whose random number is lowest, so that a row's place depends on the seed and its
// index alone. Both keep their order.
SplitRows Split(const Rows& rows, double split, uint64_t seed) {
  const int64_t count = rows.size();
  const auto held =
      static_cast<int64_t>(split < 1 ? std::ceil(split * static_cast<double>(count)) : split);
  if (held >= count) {
    throw InputError("'data.val_split' takes ", held, " of ", count,
                     " rows to evaluate on, so that none is left to train on");
  }
  std::vector<std::pair<uint32_t, uint32_t>> order;
  order.reserve(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    const auto row = static_cast<uint32_t>(i);
    order.emplace_back(RandomStream(MakeKey(seed, RandomUse::kData, row)).Next(), row);
  }
  std::ranges::sort(order);
  std::vector<uint32_t> parts[2];
  parts[0].reserve(static_cast<size_t>(count - held));
  for (int64_t i = 0; i < count; ++i)
    parts[i < held].push_back(order[static_cast<size_t>(i)].second);
  for (auto& part : parts) std::ranges::sort(part);
  return {rows.Only(parts[0]), rows.Only(parts[1])};
}

// The rows that are trained, and those that 'data.val_split' takes out of them.
std::pair<Rows, std::optional<Rows>> OpenTrainRows(const Recipe& recipe, Rows::Use use) {
  const DataRecipe& d = recipe.data;
  Rows rows = OpenRows(d.train, d.format, use);
  if (d.val_split == 0) return {std::move(rows), std::nullopt};
  SplitRows split = Split(rows, d.val_split, static_cast<uint64_t>(recipe.train.seed));
  return {std::move(split.train), std::move(split.held_out)};
}

}  // namespace

Rows OpenPrompts(const Recipe& recipe) { return OpenTrainRows(recipe, Rows::Use::kAsked).first; }

ExampleOptions ExampleOptionsOf(const Recipe& recipe, int64_t max_positions) {
  const DataRecipe& d = recipe.data;
  ExampleOptions options;
  options.loss_on = ParseLossOn(d.loss_on);
  options.over_length = ParseOverLength(d.over_length);
  options.audit = ParseAudit(d.audit);
  // Positions restart in every row, so the model limits only the length of rows. A packed sequence
  // may be longer.
  options.max_tokens = std::min(d.max_tokens, max_positions);
  options.model_limit = max_positions < d.max_tokens;
  options.add_eos = d.add_eos;
  const std::string& method = recipe.preference.method;
  options.answers = method.empty()    ? Answers::kOne
                    : method == "kto" ? Answers::kJudged
                                      : Answers::kPairs;
  return options;
}

RecipeData OpenRecipeData(const Recipe& recipe, const ModelFiles& files, const OpenWork& work) {
  const DataRecipe& d = recipe.data;
  ExampleOptions options = ExampleOptionsOf(recipe, files.config.max_positions);
  RecipeData out;
  out.tokenizer = LoadTokenizer(files);
  const auto make = [&](const Rows& rows) {
    if (rows.HasMessages() && !out.chat) {
      const std::string where = recipe.model.path.string();
      out.chat = ChatTemplate::Resolve(d.template_name, out.tokenizer->spec(), where);
      out.chat->CheckMarks(*out.tokenizer, where);
    }
    return MakeExamples(rows, *out.tokenizer, out.chat ? &*out.chat : nullptr, options,
                        ExampleWorkOf(recipe, work));
  };
  std::tie(out.rows, out.eval_rows) = OpenTrainRows(recipe, Rows::Use::kAnswered);
  if (!d.schema.empty()) {
    const std::string where = d.schema.string();
    options.answer_check = out.answer_check =
        std::make_shared<const AnswerCheck>(ReadText(d.schema, kMostSchema), where, out.rows,
                                            options.loss_on == LossOn::kLast, *out.tokenizer);
  }
  out.train = make(out.rows);
  if (out.answer_check) out.train.notes.push_back(out.answer_check->Note());
  out.ends = TaughtEnds(out, d.add_eos, recipe.model.path.string());
  NoteWeights(out);
  if (!d.eval.empty()) out.eval_rows = OpenRows(d.eval, d.format);
  if (!out.eval_rows) return out;
  const Rows& held_out = *out.eval_rows;
  out.eval = make(held_out);
  for (const std::string& note : out.eval.notes) out.train.notes.push_back("held out: " + note);
  if (std::ranges::any_of(d.eval, [](const DataSource& s) { return s.weight != 1; })) {
    out.train.notes.emplace_back(
        "held out: a weight in data.eval changes nothing; every row is evaluated once");
  }
  if (const std::string note = OverlapNote(out.train, out.eval, held_out); !note.empty())
    out.train.notes.push_back(note);
  return out;
}

Recipe WithAdapterFolders(Recipe recipe) {
  for (Path* adapter : {&recipe.adapter.init, &recipe.teacher.adapter})
    *adapter = AdapterFolderAt(*adapter).value_or(*adapter);
  return recipe;
}

OpenedRecipe OpenRecipe(const Recipe& recipe, const OpenWork& work) {
  const Recipe given = WithAdapterFolders(recipe);
  auto files = std::make_shared<const ModelFiles>(OpenModel(recipe.model.path));
  auto data = std::make_shared<const RecipeData>(OpenRecipeData(recipe, *files, work));
  const ExampleSet& train = data->train;
  const RunFacts facts{train.examples.size() - train.examples.CountJoined(), train.tokens,
                       files->config.width};
  return {WithDefaults(given, facts), std::move(files), std::move(data)};
}

void DrawByWeight(const RecipeData& data, BatchOptions& options) {
  options.weights = WeightsOf(data.rows);
  options.sources.clear();
  if (!Differ(options.weights)) return;
  for (const Example& e : data.train.examples) options.sources.push_back(data.rows.Source(e.row));
}

std::string WhereOf(const RecipeData& data, const Example& example) {
  return data.rows.Where(example.row);
}

}  // namespace retort
