// SPDX-License-Identifier: Apache-2.0
#include "recipes/recipe_rules.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "base/strings.h"
#include "base/text.h"
#include "recipes/keys.h"

namespace retort {
namespace {

class Rules {
 public:
  Rules(const Recipe& recipe, const GivenPlaces& given) : r_(recipe), given_(given) {}

  void Check() const {
    CheckRivals();
    CheckRunName(r_.name, given_.Where("name"));
    CheckStepSize();
    CheckAdapter();
    CheckLossOn();
    CheckOptimizer();
    CheckEvaluation();
    CheckTeacher();
    CheckPreference();
    CheckReward();
  }

 private:
  // "WHERE: 'KEY' WHY"
  void Refuse(bool broken, const std::string& key, const std::string& why) const {
    if (broken) throw InputError(given_.Where(key), ": '", key, "' ", why);
  }

  void CheckRivals() const {
    for (const RecipeKey& key : RecipeKeys()) {
      if (key.rival.empty() || !given_.Has(key.name)) continue;
      Refuse(given_.Has(key.rival), key.rival,
             Cat("and '", key.name, "' exclude each other; keep one of them"));
    }
  }

  // A step's rows are in memory together.
  void CheckStepSize() const {
    constexpr int64_t kMostTokens = int64_t{1} << 26;
    const TrainRecipe& t = r_.train;
    const int64_t batch = t.batch_rows > 0 ? t.batch_rows * r_.data.max_tokens : t.batch_tokens;
    Refuse(batch > kMostTokens / t.accumulate,
           t.batch_rows > 0 ? "train.batch_rows" : "train.batch_tokens",
           Cat("and 'train.accumulate' make a step of ", batch, " x ", t.accumulate,
               " tokens; at most ", kMostTokens, " are held at once"));
  }

  void CheckAdapter() const {
    const AdapterRecipe& a = r_.adapter;
    Refuse(a.targets.regex == kNoTargets && a.target_parameters.empty(), "adapter.targets",
           "none needs 'adapter.target_parameters'");
    Refuse(a.kind == "none" && r_.model.weights == "nf4", "adapter.kind",
           "none trains every weight, which 'model.weights' nf4 cannot hold; set 'model.weights' "
           "to f32 or bf16");
    if (a.kind == "none") CheckNoAdapter();
    Refuse(!a.layers.empty() && !a.targets.regex.empty(), "adapter.layers",
           "has no use with an expression as 'adapter.targets'; write the layers' numbers into the "
           "expression, or give a list of names");
    Refuse(a.dora && a.lora_bias, "adapter.lora_bias",
           "and 'adapter.dora' exclude each other, as in PEFT; keep one of them");
  }

  // A resolved recipe states the defaults, which say nothing.
  void CheckNoAdapter() const {
    for (const RecipeKey& key : RecipeKeys()) {
      if (key.section() != "adapter" || key.leaf() == "kind" || !given_.Has(key.name)) continue;
      Refuse(key.load(r_) != key.load(Recipe()), key.name,
             "has no use with 'adapter.kind' none; leave one out");
    }
  }

  void CheckLossOn() const {
    const bool rewards = r_.reward.given();
    Refuse(r_.data.loss_on == "all" && (rewards || r_.teacher.mode == "on-policy"), "data.loss_on",
           Cat("all cannot go with ", rewards ? "rewards" : "'teacher.mode' on-policy",
               ", which ask for the answers: the prompts are not learnt; leave it out"));
    if (r_.data.loss_on != "choices") return;
    const auto refuse = [&](bool broken, const char* what) {
      Refuse(broken, "data.loss_on", Cat("choices cannot go with ", what));
    };
    refuse(r_.teacher.divergence == "sorted",
           "'teacher.divergence' sorted: a teacher of other tokens has its choices elsewhere");
    refuse(r_.teacher.mode == "on-policy",
           "'teacher.mode' on-policy, whose answers no schema holds");
    refuse(r_.reward.given(), "rewards, which are for answers that no schema holds");
    Refuse(r_.data.schema.empty(), "data.loss_on",
           "choices needs 'data.schema', which says where there is one");
  }

  // What an optimiser or a schedule does not use must not be given.
  void CheckOptimizer() const {
    const TrainRecipe& t = r_.train;
    Refuse(t.lr > 0 && t.min_lr > t.lr, "train.min_lr",
           Cat(t.min_lr, " must not be above 'train.lr' ", t.lr));
    const bool adam = t.optimizer.starts_with("adamw"), sgd = t.optimizer == "sgd";
    const auto unused = [&](bool used, const char* key, const std::string& by) {
      Refuse(!used && given_.Has(key), key, Cat("has no use with ", by, "; leave it out"));
    };
    const std::string optimizer = Cat("'train.optimizer' ", t.optimizer);
    for (const char* key : {"train.beta1", "train.beta2"})
      unused(adam || t.optimizer == "lion", key, optimizer);
    unused(adam, "train.epsilon", optimizer);
    unused(sgd, "train.momentum", optimizer);
    const std::string schedule = Cat("'train.schedule' ", t.schedule);
    unused(t.schedule == "wsd", "train.decay", schedule);
    unused(t.min_lr == 0 || (t.schedule != "constant" && t.schedule != "inverse_sqrt"),
           "train.min_lr", schedule);
    Refuse(sgd && t.lr == 0, "train.optimizer",
           "sgd needs 'train.lr': its steps are of no fixed size, so there is no default");
  }

  // What is measured on held-out rows needs them.
  void CheckEvaluation() const {
    const TrainRecipe& t = r_.train;
    Refuse(r_.data.val_split > 0 && !r_.data.eval.empty(), "data.val_split",
           "and 'data.eval' exclude each other; keep one of them");
    for (const auto& [set, key] : {std::pair{!t.eval_metrics.empty(), "train.eval_metrics"},
                                   {t.best_by != "loss", "train.best_by"},
                                   {t.early_stop > 0, "train.early_stop"},
                                   {t.samples > 0, "train.samples"}}) {
      Refuse(set && !r_.data.has_eval(), key,
             "needs held-out rows; give 'data.eval' or 'data.val_split'");
    }
    Refuse(t.early_stop > 0 && t.eval_every == 0, "train.early_stop",
           "counts evaluations; set 'train.eval_every'");
  }

  void CheckTeacher() const {
    const TeacherRecipe& t = r_.teacher;
    if (const auto first = given_.FirstOf("teacher"); first && t.path.empty() && t.cache.empty())
      throw InputError(given_.Where(*first), ": 'teacher.path' is missing; '", *first,
                       "' needs a teacher");
    if (!r_.has_teacher()) return;
    Refuse(r_.train.label_smoothing > 0, "train.label_smoothing",
           "has no use with a teacher, whose distribution is the target; leave one out");
    Refuse(t.mode == "cached" && t.cache.empty(), "teacher.mode", "cached needs 'teacher.cache'");
    Refuse(t.mode != "cached" && t.path.empty(), "teacher.mode",
           Cat(t.mode, " needs 'teacher.path'"));
    Refuse(t.mode != "online" && t.divergence == "sorted", "teacher.divergence",
           Cat("sorted needs 'teacher.mode' online, not ", t.mode));
    Refuse(
        t.mode == "on-policy" && r_.data.over_length == "split", "data.over_length",
        "split cannot be used with 'teacher.mode' on-policy: a part of a row has no whole prompt");
    Refuse(t.mode == "cached" && t.hidden != "none", "teacher.hidden",
           Cat(t.hidden, " needs the teacher itself; a cache holds no hidden states"));
  }

  void CheckPreference() const {
    const auto first = given_.FirstOf("preference");
    if (!first) return;
    const std::string& method = r_.preference.method;
    if (method.empty()) {
      throw InputError(given_.Where(*first), ": 'preference.method' is missing; '", *first,
                       "' needs it to be dpo, orpo or kto");
    }
    // Older resolved recipes state the default with every method.
    Refuse(method != "kto" && r_.preference.weight != PreferenceRecipe().weight,
           "preference.weight",
           Cat("has no use with 'preference.method' ", method, "; leave it out"));
    Refuse(r_.has_teacher(), "preference.method",
           "and a teacher exclude each other; train the two one after the other");
    Refuse(r_.adapter.kind == "none" && method != "orpo", "preference.method",
           Cat(method,
               " needs an adapter: its reference is the model without it; set 'adapter.kind' to "
               "lora, or use orpo"));
    const TrainRecipe& t = r_.train;
    Refuse(method == "kto" && t.batch_rows == 1 && t.accumulate == 1 && !r_.data.packing,
           "train.batch_rows",
           "1 makes steps of one row, and kto compares each with the answer of another; give 2 or "
           "more, or 'train.accumulate'");
    Refuse(r_.data.over_length == "split", "data.over_length",
           "split cannot be used with 'preference.method': an answer is judged whole");
    Refuse(r_.train.label_smoothing > 0, "train.label_smoothing",
           "has no use with 'preference.method'; leave one out");
  }

  void CheckReward() const {
    const auto first = given_.FirstOf("reward");
    if (!first) return;
    Refuse(!r_.reward.given(), *first,
           "needs a reward: give 'reward.regex', 'reward.schema', 'reward.command' or "
           "'reward.exact'");
    Refuse(r_.has_teacher(), *first, "and a teacher exclude each other; train one after the other");
    Refuse(!r_.preference.method.empty(), *first,
           "and 'preference.method' exclude each other; train one after the other");
    Refuse(r_.adapter.kind == "none" && r_.reward.beta > 0, "reward.beta",
           "needs an adapter: the reference is the model without it; set 'adapter.kind' to lora, "
           "or leave 'reward.beta' out");
    Refuse(r_.data.over_length == "split", "data.over_length",
           "split cannot be used with rewards: an answer is judged whole");
    Refuse(r_.train.label_smoothing > 0, "train.label_smoothing",
           "has no use with rewards; leave one out");
  }

  const Recipe& r_;
  const GivenPlaces& given_;
};

}  // namespace

const std::string& GivenPlaces::Where(const std::string& name) const {
  const auto found = where_.find(name);
  return found == where_.end() ? file_ : found->second;
}

std::optional<std::string> GivenPlaces::FirstOf(std::string_view section) const {
  const std::string begin = Cat(section, ".");
  const auto found = where_.lower_bound(begin);
  if (found == where_.end() || !found->first.starts_with(begin)) return std::nullopt;
  return found->first;
}

void CheckRunName(const std::string& name, const std::string& where) {
  if (name.find('/') == std::string::npos && name != "." && name != "..") return;
  throw InputError(where, ": 'name' ", Quoted(name),
                   " must be the name of a folder, without '/'; --run takes a path");
}

void CheckRules(const Recipe& recipe, const GivenPlaces& given) { Rules(recipe, given).Check(); }

}  // namespace retort
