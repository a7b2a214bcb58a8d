// SPDX-License-Identifier: Apache-2.0
#include "eval/choice.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"

namespace retort {
namespace {

std::vector<std::string> LabelsInData(const std::vector<Answer>& answers) {
  std::vector<std::string> labels;
  std::unordered_map<std::string, bool> seen;
  for (const Answer& answer : answers) {
    std::string label(Strip(answer.text));
    if (seen.emplace(label, true).second) labels.push_back(std::move(label));
  }
  return labels;
}

// The label trees of a data set: one for each combination of white space around its answers and of
// completion or assistant turn.
class Trees {
 public:
  Trees(const std::vector<std::string>& labels, const Tokenizer& tokenizer,
        const ChatTemplate* chat, bool add_eos)
      : labels_(labels), tokenizer_(tokenizer), chat_(chat), add_eos_(add_eos) {}

  const std::shared_ptr<const LabelTree>& For(const Answer& answer) {
    const std::string_view text = answer.text, bare = Strip(text);
    const size_t begin =
        bare.empty() ? text.size() : static_cast<size_t>(bare.data() - text.data());
    const std::string before(text.substr(0, begin)), behind(text.substr(begin + bare.size()));
    auto& tree = trees_[{before, behind, answer.chat}];
    if (tree) return tree;
    std::vector<std::vector<int32_t>> ids;
    for (const std::string& label : labels_) {
      ids.push_back(EncodeAnswer(answer, Cat(before, label, behind), tokenizer_, chat_, add_eos_));
      if (ids.back().empty()) throw InputError(answer.where, ": label '", label, "' has no tokens");
    }
    return tree = std::make_shared<LabelTree>(ids);
  }

 private:
  const std::vector<std::string>& labels_;
  const Tokenizer& tokenizer_;
  const ChatTemplate* chat_;
  bool add_eos_;
  std::map<std::tuple<std::string, std::string, bool>, std::shared_ptr<const LabelTree>> trees_;
};

int64_t TokensOf(const ChoiceCase& c) {
  return static_cast<int64_t>(c.prompt.size() + c.labels->nodes().size());
}

}  // namespace

std::vector<std::string> ReadLabels(const Path& file) {
  const Json json = ReadJson(file);
  if (!json.is_array() || json.empty())
    throw InputError(file.string(), ": must be a JSON list of labels");
  std::vector<std::string> labels;
  for (size_t i = 0; i < json.size(); ++i) {
    if (!json[i].is_string()) throw InputError(file.string(), ": entry ", i + 1, " is not a text");
    labels.emplace_back(Strip(json[i].get<std::string>()));
    if (labels.back().empty()) throw InputError(file.string(), ": entry ", i + 1, " is empty");
    if (std::find(labels.begin(), labels.end() - 1, labels.back()) != labels.end() - 1) {
      throw InputError(file.string(), ": '", labels.back(), "' occurs twice");
    }
  }
  return labels;
}

ChoiceTask MakeChoiceTask(const std::vector<Answer>& answers, std::vector<std::string> labels,
                          const Tokenizer& tokenizer, const ChatTemplate* chat,
                          const ChoiceOptions& options) {
  ChoiceTask task;
  task.labels = labels.empty() ? LabelsInData(answers) : std::move(labels);
  std::unordered_map<std::string, int32_t> index;
  for (size_t i = 0; i < task.labels.size(); ++i)
    index.emplace(task.labels[i], static_cast<int32_t>(i));
  Trees trees(task.labels, tokenizer, chat, options.add_eos);
  for (const Answer& answer : answers) {
    if (!answer.turn.empty()) {
      throw InputError(answer.where,
                       ": its answer holds more than a text (a call of a tool, a thought), and "
                       "choice compares texts; measure such rows with exact");
    }
    const std::string label(Strip(answer.text));
    const auto at = index.find(label);
    if (at == index.end()) {
      const std::string nearest = Nearest(label, task.labels);
      throw InputError(answer.where, ": '", label, "' is not among the ", task.labels.size(),
                       " labels", nearest.empty() ? "" : Cat("; did you mean '", nearest, "'?"));
    }
    const auto& tree = trees.For(answer);
    if (!AnswerFits(answer, tree->depth() + 1, options.max_tokens, options.over_length)) {
      ++task.dropped;
      continue;
    }
    task.cases.push_back({answer.prompt, tree, at->second, answer.where});
  }
  return task;
}

std::vector<std::vector<double>> ScoreChoices(const Model& model, const Adapter* adapter,
                                              std::span<const ChoiceCase> cases,
                                              ChoiceScores kind) {
  Batch batch;
  std::vector<int32_t> rows, targets;
  for (const ChoiceCase& c : cases) {
    const std::vector<int32_t> after = c.labels->AppendTo(c.prompt, batch);
    rows.insert(rows.end(), after.begin(), after.end());
    for (const LabelTree::Step& step : c.labels->steps()) targets.push_back(step.token);
  }
  Backend& k = model.backend;
  Context context{k};
  const Var hidden = model.Hidden(context, {batch, adapter});
  const std::vector<double> losses = k.ToDoubles(model.Losses(
      context, adapter, hidden, k.Upload(rows), ops::CrossEntropy(k.Upload(targets), 1)));

  std::vector<std::vector<double>> scores;
  std::span<const double> left = losses;
  for (const ChoiceCase& c : cases) {
    const auto own = left.first(c.labels->steps().size());
    scores.push_back(kind == ChoiceScores::kSums ? c.labels->LogProbabilities(own)
                                                 : c.labels->LogProbabilitiesWithin(own));
    left = left.subspan(c.labels->steps().size());
  }
  return scores;
}

int64_t ScoreAllChoices(
    const Model& model, const Adapter* adapter, std::span<const ChoiceCase> cases,
    int64_t batch_tokens, ChoiceScores kind,
    const std::function<void(const ChoiceCase& c, const std::vector<double>& scores)>& on_scores,
    const std::function<void(int64_t)>& on_progress) {
  int64_t read = 0;
  for (size_t begin = 0, end = 0; begin < cases.size(); begin = end) {
    int64_t tokens = TokensOf(cases[end++]);
    while (end < cases.size() && tokens + TokensOf(cases[end]) <= batch_tokens)
      tokens += TokensOf(cases[end++]);
    const auto batch = cases.subspan(begin, end - begin);
    for (size_t i = 0; const auto& scores : ScoreChoices(model, adapter, batch, kind)) {
      const ChoiceCase& c = batch[i++];
      if (!std::ranges::all_of(scores, [](double s) { return std::isfinite(s); })) {
        throw Failure(c.where,
                      ": the labels' probabilities are not numbers: the model's or the "
                      "adapter's activations overflow; try --compute f32");
      }
      on_scores(c, scores);
    }
    read += tokens;
    if (on_progress) on_progress(static_cast<int64_t>(end));
  }
  return read;
}

ChoiceResult EvaluateChoice(const Model& model, const Adapter* adapter,
                            const std::vector<ChoiceCase>& cases, int64_t batch_tokens,
                            const std::function<void(int64_t)>& on_progress) {
  ChoiceResult result;
  const auto take = [&](const ChoiceCase& c, const std::vector<double>& scores) {
    const auto best = std::max_element(scores.begin(), scores.end()) - scores.begin();
    result.right += best == c.expected;
    result.chosen.push_back(static_cast<int32_t>(best));
  };
  result.tokens =
      ScoreAllChoices(model, adapter, cases, batch_tokens, ChoiceScores::kSums, take, on_progress);
  result.rows = static_cast<int64_t>(cases.size());
  return result;
}

}  // namespace retort
