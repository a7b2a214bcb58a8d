// SPDX-License-Identifier: Apache-2.0
#include "train/objectives/preference.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"

namespace retort {
namespace {

double Logistic(double x) { return 1 / (1 + std::exp(-x)); }
// -log s(x), without overflow.
double MinusLogLogistic(double x) { return std::max(-x, 0.0) + std::log1p(std::exp(-std::abs(x))); }
// log(1 - exp(x)) for x < 0, accurate for all of them.
double Log1mExp(double x) {
  return x > -std::numbers::ln2 ? std::log(-std::expm1(x)) : std::log1p(-std::exp(x));
}

// Which of row e's values, as LabelledBatch orders them, belong to tokens of the answer.
std::vector<bool> AnswerTokens(const Example& row) {
  std::vector<bool> out;
  for (size_t i = 1; i < row.labels.size(); ++i) {
    if (row.labels[i] != kNoLoss) out.push_back(static_cast<int64_t>(i) >= row.answer);
  }
  return out;
}

// Sums and counts of a row's losses.
struct RowLoss {
  double answer = 0, all = 0;  // -log p of the answer's tokens; of every token that carries loss
  int64_t answer_tokens = 0;
};

std::vector<RowLoss> RowLosses(const TrainingPass& pass, const std::vector<double>& losses) {
  std::vector<RowLoss> out;
  for (size_t e = 0; e < pass.data().examples(); ++e) {
    const std::span<const double> own = pass.data().Of(e, losses);
    const std::vector<bool> answer = AnswerTokens(*pass.micro().rows[e]);
    RETORT_CHECK(answer.size() == own.size(), own.size(), " losses for ", answer.size());
    RowLoss& row = out.emplace_back();
    for (size_t i = 0; i < own.size(); ++i) {
      row.all += own[i];
      if (answer[i]) row.answer += own[i], ++row.answer_tokens;
    }
  }
  return out;
}

// The losses of a part's rows, without a tape.
std::vector<RowLoss> Untaped(const Model& model, const MicroBatch& part, const Adapter* adapter) {
  Context context{model.backend};
  TrainingPass pass(context, model, part, {adapter});
  const Var hidden = pass.Hidden();
  return RowLosses(pass, pass.TokenLosses(hidden));
}

// What each token's -log p is multiplied by in the loss: one factor for the tokens of a row's
// answer, one for all that carry loss.
struct RowPull {
  double answer = 0, all = 0;
};

// Common to the three: a step's sums, and the way from the rows' pulls to the tape.
class Preference : public Objective {
 public:
  explicit Preference(const PreferenceOptions& options) : options_(options) {}

  void Run(TrainingPass& pass, float scale, LossSums& sums) override {
    Backend& k = pass.context().backend;
    Begin(pass);
    const Var hidden = pass.Hidden();
    const std::vector<RowLoss> rows = RowLosses(pass, pass.TokenLosses(hidden));
    double loss = 0, chosen = 0;
    std::vector<RowPull> pulls(rows.size());
    for (const RowGroup& group : GroupsOf(pass.micro()))
      loss += Judge(pass, group, std::span(rows), std::span(pulls));
    for (size_t e = 0; e < rows.size(); ++e) {
      if (pass.micro().rows[e]->wanted) chosen += rows[e].answer;
    }
    k.AddSum(k.Upload(std::vector{loss}), 1, sums.loss);
    k.AddSum(k.Upload(std::vector{chosen}), 1, sums.parts.ce);
    if (!pass.context().tape) return;
    std::vector<float> scales;
    for (size_t e = 0; e < rows.size(); ++e) {
      for (const bool answer : AnswerTokens(*pass.micro().rows[e])) {
        const double pull = pulls[e].all + (answer ? pulls[e].answer : 0);
        scales.push_back(static_cast<float>(scale * pull));
      }
    }
    pass.Losses(hidden, ops::CrossEntropy(pass.targets(), k.Upload(scales)));
  }

  // The means over the step, once.
  std::vector<Extra> TakeExtras() override {
    if (judged_ == 0) return {};
    const auto n = static_cast<double>(judged_);
    std::vector<Extra> out = {{"margin", margin_ / n}, {"accuracy", right_ / n}};
    margin_ = right_ = 0, judged_ = 0;
    return out;
  }

 protected:
  // Before the trained model's pass, while it holds no activations.
  virtual void Begin(const TrainingPass& /*pass*/) {}
  // The loss of a group, and the pulls of its rows.
  virtual double Judge(const TrainingPass& pass, const RowGroup& group,
                       std::span<const RowLoss> rows, std::span<RowPull> pulls) = 0;
  void Count(double margin, bool right) {
    margin_ += margin;
    right_ += right;
    ++judged_;
  }
  const PreferenceOptions& options() const { return options_; }

 private:
  PreferenceOptions options_;
  double margin_ = 0, right_ = 0;
  int64_t judged_ = 0;
};

void CheckPair(const RowGroup& group) {
  RETORT_CHECK(group.end - group.begin == 2, "a group of ", group.end - group.begin,
               " rows is no pair");
}

int64_t Pairs(const StepBatch& step) {
  int64_t pairs = 0;
  for (const MicroBatch& micro : step.micro) pairs += std::ssize(GroupsOf(micro));
  return pairs;
}

// With scores against a reference.
class Compared : public Preference {
 public:
  Compared(const PreferenceOptions& options, const Adapter* reference)
      : Preference(options), reference_(reference) {}

 protected:
  void Begin(const TrainingPass& pass) override {
    before_ = Untaped(pass.model(), pass.micro(), reference_);
  }
  // Of row e of the current part, whose losses are `rows`.
  double Score(size_t e, std::span<const RowLoss> rows) const {
    return before_[e].answer - rows[e].answer;
  }
  const Adapter* reference() const { return reference_; }

 private:
  const Adapter* reference_;
  std::vector<RowLoss> before_;  // the reference's, of the current part
};

class Dpo : public Compared {
 public:
  using Compared::Compared;

  int64_t Terms(const StepBatch& step) const override { return Pairs(step); }

 protected:
  double Judge(const TrainingPass&, const RowGroup& group, std::span<const RowLoss> rows,
               std::span<RowPull> pulls) override {
    CheckPair(group);
    const size_t chosen = group.begin, rejected = chosen + 1;
    const double beta = options().beta,
                 margin = beta * (Score(chosen, rows) - Score(rejected, rows));
    const double pull = beta * Logistic(-margin);
    pulls[chosen].answer = pull;
    pulls[rejected].answer = -pull;
    Count(margin, margin > 0);
    return MinusLogLogistic(margin);
  }
};

class Orpo : public Preference {
 public:
  using Preference::Preference;

  int64_t Prepare(StepBatch& step, int64_t /*number*/) override {
    int64_t tokens = 0;
    for (const MicroBatch& micro : step.micro) {
      for (const RowGroup& group : GroupsOf(micro)) tokens += micro.rows[group.begin]->LossTokens();
    }
    // All terms are divided by the pairs, the chosen rows' losses by their tokens.
    per_token_ =
        static_cast<double>(Pairs(step)) / static_cast<double>(std::max<int64_t>(1, tokens));
    return 0;
  }
  int64_t Terms(const StepBatch& step) const override { return Pairs(step); }

 protected:
  double Judge(const TrainingPass&, const RowGroup& group, std::span<const RowLoss> rows,
               std::span<RowPull> pulls) override {
    CheckPair(group);
    const size_t chosen = group.begin, rejected = chosen + 1;
    const auto tokens = [&](size_t e) {
      return static_cast<double>(std::max<int64_t>(1, rows[e].answer_tokens));
    };
    const auto mean = [&](size_t e) { return std::min(-rows[e].answer / tokens(e), -1e-12); };
    const double a = mean(chosen), b = mean(rejected), beta = options().beta;
    const double odds = (a - b) - (Log1mExp(a) - Log1mExp(b));
    const double pull = beta * Logistic(-odds);
    pulls[chosen] = {-pull / std::expm1(a) / tokens(chosen), per_token_};
    pulls[rejected] = {pull / std::expm1(b) / tokens(rejected), 0};
    Count(beta * (a - b), a > b);
    return per_token_ * rows[chosen].all + beta * MinusLogLogistic(odds);
  }

 private:
  double per_token_ = 0;
};

class Kto : public Compared {
 public:
  Kto(const PreferenceOptions& options, const Model& model, const Adapter* adapter,
      const Adapter* reference)
      : Compared(options, reference), model_(model), adapter_(adapter) {}

  int64_t Prepare(StepBatch& step, int64_t /*number*/) override {
    kl_.clear();
    const Example* before = step.micro.back().rows.back();  // the first row's is the last
    for (const MicroBatch& micro : step.micro) {
      const bool alone = micro.rows.size() == 1;
      const double kl = MismatchedScore(micro, alone ? before : micro.rows.back());
      for (const int64_t order : micro.order) kl_[order] = kl;
      before = micro.rows.back();
    }
    return 0;
  }
  int64_t Terms(const StepBatch& step) const override {
    int64_t rows = 0;
    for (const MicroBatch& micro : step.micro) rows += std::ssize(micro.rows);
    return rows;
  }

 protected:
  double Judge(const TrainingPass& pass, const RowGroup& group, std::span<const RowLoss> rows,
               std::span<RowPull> pulls) override {
    const size_t e = group.begin;
    const bool wanted = pass.micro().rows[e]->wanted;
    const double beta = options().beta, score = Score(e, rows), kl = kl_.at(pass.micro().order[e]),
                 weight = wanted ? 1 : options().weight;
    const double p = Logistic(wanted ? beta * (score - kl) : beta * (kl - score));
    pulls[e].answer = (wanted ? 1 : -1) * weight * beta * p * (1 - p);
    Count(wanted ? beta * score : -beta * score, wanted ? score > kl : score < kl);
    return weight * (1 - p);
  }

 private:
  // Each row's prompt with the answer of the row before it, the first one's with that of `before`.
  // A row's own answer says nothing, as its score would be taken from itself: where one example
  // follows itself, as rows of a greater weight may, there is no pair. 0 if none is left.
  double MismatchedScore(const MicroBatch& micro, const Example* before) const {
    std::vector<Example> mixed;
    for (const Example* row : micro.rows) {
      const Example &prompt = *row, &answer = *before;
      before = row;
      if (&prompt == &answer) continue;
      Example& own = mixed.emplace_back();
      own.ids.assign(prompt.ids.begin(), prompt.ids.begin() + prompt.answer);
      own.labels.assign(own.ids.size(), kNoLoss);
      own.answer = prompt.answer;
      own.ids.insert(own.ids.end(), answer.ids.begin() + answer.answer, answer.ids.end());
      own.labels.insert(own.labels.end(), answer.labels.begin() + answer.answer,
                        answer.labels.end());
    }
    if (mixed.empty()) return 0;
    double sum = 0;
    for (const Example& row : mixed) {  // one by one: a mixed row may be longer than any other
      const MicroBatch one{{&row}, {0}, row.size(), row.LossTokens()};
      if (one.loss_tokens == 0) continue;
      sum += Untaped(model_, one, reference())[0].answer - Untaped(model_, one, adapter_)[0].answer;
    }
    return std::max(0.0, sum / static_cast<double>(mixed.size()));
  }

  const Model& model_;
  const Adapter* adapter_;
  std::unordered_map<int64_t, double> kl_;  // by the row's index in the data order
};

}  // namespace

PreferenceOptions::Method PreferenceNamed(const std::string& name) {
  if (name == "dpo") return PreferenceOptions::Method::kDpo;
  if (name == "orpo") return PreferenceOptions::Method::kOrpo;
  if (name == "kto") return PreferenceOptions::Method::kKto;
  throw InputError("preference.method '", name, "' is not known; use dpo, orpo or kto");
}

std::unique_ptr<Objective> MakePreference(const PreferenceOptions& options, const Model& model,
                                          const Adapter* adapter, const Adapter* reference) {
  switch (options.method) {
    case PreferenceOptions::Method::kDpo:
      return std::make_unique<Dpo>(options, reference);
    case PreferenceOptions::Method::kOrpo:
      return std::make_unique<Orpo>(options);
    case PreferenceOptions::Method::kKto:
      return std::make_unique<Kto>(options, model, adapter, reference);
  }
  return nullptr;
}

}  // namespace retort
