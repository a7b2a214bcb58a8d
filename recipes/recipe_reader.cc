// SPDX-License-Identifier: Apache-2.0
#include "recipes/recipe_reader.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "recipes/key_lines.h"
#include "recipes/keys.h"
#include "recipes/other_names.h"

namespace retort {
namespace {

// The value of a key, the start of its error messages, and the folder of its relative paths.
struct Given {
  Json value;
  std::string where;
  Path folder;
};

std::string Shown(const Json& value) { return OneLine(DumpJson(value), kLongestQuote); }

class Reader {
 public:
  explicit Reader(std::string file) : file_(std::move(file)) {}

  void AddFile(std::string_view text, const Path& folder) {
    // First whether it is JSON; then keys given twice, with their lines; then those that are spelt
    // differently, as "a" and "\u0061".
    ParseJson(text, file_, true, RepeatedKeys::kLast);
    lines_ = KeyLines(text, file_);
    const Json document = ParseJson(text, file_, true);
    if (!document.is_object()) throw InputError(file_, ": a recipe must be an object, { … }");
    for (const auto& [name, value] : document.items()) {
      if (name != "$schema") Add(name, value, "", folder);
    }
  }

  void AddOverride(const std::string& argument) {
    const size_t equals = argument.find('=');
    const std::string name(Strip(argument.substr(0, equals)));
    if (equals == std::string::npos || name.empty()) {
      throw InputError("--set ", argument, ": must be KEY=VALUE, as in train.lr=1e-4");
    }
    const std::string text = argument.substr(equals + 1);
    const bool json = Json::accept(text);
    Json value = json ? ParseJson(text, "--set " + argument) : Json();
    const RecipeKey* key = Find(name);
    const bool misfit =
        key && (value.is_number() || value.is_boolean()) && !Fits(value, key->shapes);
    if (!json || (misfit && Fits(Json(text), key->shapes))) value = text;
    if (name == "train.steps") given_.erase("train.epochs");
    if (name == "train.epochs") given_.erase("train.steps");
    if (name == "train.batch_rows") given_.erase("train.batch_tokens");
    if (name == "train.batch_tokens") given_.erase("train.batch_rows");
    Add(name, value, "--set " + argument, Path("."));
  }

  Recipe Build() {
    Recipe recipe;
    for (const RecipeKey& key : keys_) {
      const auto found = given_.find(key.name);
      if (found == given_.end()) {
        if (key.required) throw InputError(file_, ": '", key.name, "' is missing");
        continue;
      }
      const auto& [value, where, folder] = found->second;
      if (!Fits(value, key.shapes)) {
        throw InputError(where, ": '", key.name, "' must be ", Words(key.shapes), ", not ",
                         Shown(value));
      }
      key.store(value, folder, recipe);
      if (key.section() == "adapter") recipe.adapter.given.names.insert(key.leaf());
    }
    CheckTogether(recipe);
    return recipe;
  }

 private:
  // `where` is empty for values from the file.
  void Add(const std::string& name, const Json& value, const std::string& where,
           const Path& folder) {
    const std::string place = where.empty() ? PlaceOf(name) : where;
    if (IsSection(name)) {
      if (!where.empty() && value.is_null()) {  // --set teacher=null removes the file's section
        std::erase_if(given_, [&](const auto& g) { return g.first.starts_with(name + "."); });
        return;
      }
      if (!value.is_object()) {
        const std::string here = HereItIs(name);
        throw InputError(place, ": '", name, "' must be an object, not ", Shown(value),
                         here.empty() ? "" : "; " + here);
      }
      for (const auto& [leaf, inner] : value.items()) {
        Add(Cat(name, ".", leaf), inner, where, folder);
      }
      return;
    }
    if (!Find(name)) throw Unknown(name, place);
    if (name == "data.train" || name == "data.eval") CheckSourceKeys(name, value, place);
    if (!where.empty() && value.is_null())
      given_.erase(name);
    else
      given_[name] = {value, place, folder};
  }

  void CheckSourceKeys(const std::string& name, const Json& value, const std::string& place) {
    for (const Json& source : value.is_array() ? value : Json::array({value})) {
      if (!source.is_object()) continue;
      for (const auto& [key, _] : source.items()) {
        if (key == "path" || key == "weight") continue;
        const std::string near = Nearest(key, {"path", "weight"});
        throw InputError(
            place, ": key ", Quoted(key), " of a source in '", name, "' is not known; ",
            near.empty() ? "known are 'path' and 'weight'" : Cat("did you mean '", near, "'?"));
      }
    }
  }

  // Suggests the key that was probably meant: the same name in another section, else ours for what
  // another program calls so, else the nearest name in the same section, else the nearest of all.
  Error Unknown(const std::string& name, const std::string& place) const {
    const size_t dot = name.find('.');
    const std::string section = dot == std::string::npos ? "" : name.substr(0, dot);
    const std::string leaf = dot == std::string::npos ? name : name.substr(dot + 1);
    std::vector<std::string> siblings, all;
    std::string namesake;
    for (const RecipeKey& key : keys_) {
      if (dot != std::string::npos && key.section() == section) siblings.push_back(key.leaf());
      if (dot == std::string::npos) {
        siblings.push_back(key.section().empty() ? key.name : key.section());
      }
      if (key.leaf() == leaf && namesake.empty()) namesake = key.name;
      all.push_back(key.name);
    }
    std::string meant = namesake;
    const std::string here = meant.empty() ? HereItIs(leaf) : "";
    if (!here.empty()) {
      return InputError(place, ": key ", Quoted(name), " is not known; ", here);
    }
    if (meant.empty()) {
      meant = Nearest(leaf, siblings);
      if (!meant.empty() && !section.empty()) meant = Cat(section, ".", meant);
    }
    if (meant.empty()) meant = Nearest(name, all);
    return InputError(place, ": key ", Quoted(name), " is not known",
                      meant.empty() ? "" : Cat("; did you mean '", meant, "'?"));
  }

  // Checks combinations of values.
  void CheckTogether(const Recipe& r) const {
    CheckOneOf("train.steps", "train.epochs");
    CheckOneOf("train.batch_rows", "train.batch_tokens");
    if (r.name.find('/') != std::string::npos || r.name == "." || r.name == "..") {
      throw InputError(WhereOf("name"), ": 'name' ", Quoted(r.name),
                       " must be the name of a folder, without '/'; --run takes a path");
    }
    CheckStepSize(r);
    CheckTargets(r);
    CheckSchema(r);
    if (r.adapter.kind == "none" && r.model.weights == "nf4") {
      throw InputError(WhereOf("adapter.kind"), ": 'adapter.kind' none trains every weight, which ",
                       "'model.weights' nf4 cannot hold; set 'model.weights' to f32 or bf16");
    }
    CheckAdapter(r);
    if (r.train.lr > 0 && r.train.min_lr > r.train.lr) {
      throw InputError(WhereOf("train.min_lr"), ": 'train.min_lr' ", r.train.min_lr,
                       " must not be above 'train.lr' ", r.train.lr);
    }
    CheckOptimizer(r.train);
    CheckEvaluation(r);
    CheckTeacher(r);
    CheckPreference(r);
    CheckReward(r);
  }

  void CheckAdapter(const Recipe& r) const {
    const AdapterRecipe& a = r.adapter;
    if (a.kind == "none") CheckNoAdapter(r);
    if (!a.layers.empty() && !a.targets.regex.empty()) {
      throw InputError(
          WhereOf("adapter.layers"),
          ": 'adapter.layers' has no use with an expression as 'adapter.targets'; write "
          "the layers' numbers into the expression, or give a list of names");
    }
    if (a.dora && a.lora_bias) {
      throw InputError(WhereOf("adapter.lora_bias"),
                       ": 'adapter.lora_bias' and 'adapter.dora' exclude each other, as in PEFT; "
                       "keep one of them");
    }
  }

  // A resolved recipe states the defaults, which say nothing.
  void CheckNoAdapter(const Recipe& r) const {
    for (const RecipeKey& key : keys_) {
      if (key.section() != "adapter" || key.leaf() == "kind" || !given_.contains(key.name) ||
          key.load(r) == key.load(Recipe()))
        continue;
      throw InputError(WhereOf(key.name), ": '", key.name,
                       "' has no use with 'adapter.kind' none; leave one out");
    }
  }

  // What an optimiser or a schedule does not use must not be given.
  void CheckOptimizer(const TrainRecipe& t) const {
    const bool adam = t.optimizer.starts_with("adamw"), sgd = t.optimizer == "sgd";
    const auto unused = [&](bool used, const char* key, const std::string& by) {
      if (used || !given_.contains(key)) return;
      throw InputError(WhereOf(key), ": '", key, "' has no use with ", by, "; leave it out");
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
    if (sgd && t.lr == 0) {
      throw InputError(WhereOf("train.optimizer"),
                       ": 'train.optimizer' sgd needs 'train.lr': its steps are of no fixed size, "
                       "so there is no default");
    }
  }

  // No target is an adapter of parameters alone.
  void CheckTargets(const Recipe& r) const {
    if (r.adapter.targets.regex != kNoTargets || !r.adapter.target_parameters.empty()) return;
    throw InputError(WhereOf("adapter.targets"),
                     ": 'adapter.targets' none needs 'adapter.target_parameters'");
  }

  void CheckSchema(const Recipe& r) const {
    if (r.data.loss_on != "choices") return;
    const auto refuse = [&](bool wrong, const char* what) {
      if (wrong)
        throw InputError(WhereOf("data.loss_on"), ": 'data.loss_on' choices cannot go with ", what);
    };
    refuse(r.teacher.divergence == "sorted",
           "'teacher.divergence' sorted: a teacher of other tokens has its choices elsewhere");
    refuse(r.teacher.mode == "on-policy",
           "'teacher.mode' on-policy, whose answers no schema holds");
    refuse(r.reward.given(), "rewards, which are for answers that no schema holds");
    if (!r.data.schema.empty()) return;
    throw InputError(WhereOf("data.loss_on"),
                     ": 'data.loss_on' choices needs 'data.schema', which says where there is one");
  }

  // A step's rows are in memory together.
  void CheckStepSize(const Recipe& r) const {
    constexpr int64_t kMostTokens = int64_t{1} << 26;
    const int64_t batch =
        r.train.batch_rows > 0 ? r.train.batch_rows * r.data.max_tokens : r.train.batch_tokens;
    if (batch <= kMostTokens / r.train.accumulate) return;
    const char* key = r.train.batch_rows > 0 ? "train.batch_rows" : "train.batch_tokens";
    throw InputError(WhereOf(key), ": '", key, "' and 'train.accumulate' make a step of ", batch,
                     " x ", r.train.accumulate, " tokens; at most ", kMostTokens,
                     " are held at once");
  }

  void CheckOneOf(const std::string& one, const std::string& other) const {
    if (!given_.contains(one) || !given_.contains(other)) return;
    throw InputError(given_.at(other).where, ": '", one, "' and '", other,
                     "' exclude each other; keep one of them");
  }

  void CheckTeacher(const Recipe& r) const {
    const auto first = std::ranges::find_if(
        given_, [](const auto& entry) { return entry.first.starts_with("teacher."); });
    if (first != given_.end() && r.teacher.path.empty() && r.teacher.cache.empty()) {
      throw InputError(first->second.where, ": 'teacher.path' is missing; '", first->first,
                       "' needs a teacher");
    }
    if (!r.has_teacher()) return;
    if (r.train.label_smoothing > 0) {
      throw InputError(WhereOf("train.label_smoothing"),
                       ": 'train.label_smoothing' has no use with a teacher, whose distribution is "
                       "the target; leave one out");
    }
    if (r.teacher.mode == "cached" && r.teacher.cache.empty()) {
      throw InputError(WhereOf("teacher.mode"), ": 'teacher.mode' cached needs 'teacher.cache'");
    }
    if (r.teacher.mode != "cached" && r.teacher.path.empty()) {
      throw InputError(WhereOf("teacher.mode"), ": 'teacher.mode' ", r.teacher.mode,
                       " needs 'teacher.path'");
    }
    if (r.teacher.mode != "online" && r.teacher.divergence == "sorted") {
      throw InputError(WhereOf("teacher.divergence"),
                       ": 'teacher.divergence' sorted needs "
                       "'teacher.mode' online, not ",
                       r.teacher.mode);
    }
    if (r.teacher.mode == "cached" && r.teacher.hidden != "none") {
      throw InputError(WhereOf("teacher.hidden"), ": 'teacher.hidden' ", r.teacher.hidden,
                       " needs the teacher itself; a cache holds no hidden states");
    }
  }

  // What is measured on held-out rows needs them.
  void CheckEvaluation(const Recipe& r) const {
    if (r.data.val_split > 0 && !r.data.eval.empty()) {
      throw InputError(WhereOf("data.val_split"),
                       ": 'data.val_split' and 'data.eval' exclude each other; keep one of them");
    }
    if (!r.data.has_eval()) {
      const TrainRecipe& t = r.train;
      for (const auto& [set, key] : {std::pair{!t.eval_metrics.empty(), "train.eval_metrics"},
                                     {t.best_by != "loss", "train.best_by"},
                                     {t.early_stop > 0, "train.early_stop"},
                                     {t.samples > 0, "train.samples"}}) {
        if (set)
          throw InputError(WhereOf(key), ": '", key,
                           "' needs held-out rows; give 'data.eval' or 'data.val_split'");
      }
    }
    if (r.train.early_stop > 0 && r.train.eval_every == 0) {
      throw InputError(WhereOf("train.early_stop"),
                       ": 'train.early_stop' counts evaluations; set 'train.eval_every'");
    }
  }

  void CheckPreference(const Recipe& r) const {
    const auto first = std::ranges::find_if(
        given_, [](const auto& entry) { return entry.first.starts_with("preference."); });
    if (first == given_.end()) return;
    const std::string& method = r.preference.method;
    if (method.empty()) {
      throw InputError(first->second.where, ": 'preference.method' is missing; '", first->first,
                       "' needs it to be dpo, orpo or kto");
    }
    const auto refuse = [&](bool refused, const char* key, const std::string& why) {
      if (refused) throw InputError(WhereOf(key), ": '", key, "' ", why);
    };
    refuse(method != "kto" && given_.contains("preference.weight"), "preference.weight",
           Cat("has no use with 'preference.method' ", method, "; leave it out"));
    refuse(r.has_teacher(), "preference.method",
           "and a teacher exclude each other; train the two one after the other");
    refuse(r.adapter.kind == "none" && method != "orpo", "preference.method",
           Cat(method,
               " needs an adapter: its reference is the model without it; set "
               "'adapter.kind' to lora, or use orpo"));
    refuse(r.data.over_length == "split", "data.over_length",
           "split cannot be used with 'preference.method': an answer is judged whole");
    refuse(r.train.label_smoothing > 0, "train.label_smoothing",
           "has no use with 'preference.method'; leave one out");
  }

  void CheckReward(const Recipe& r) const {
    const auto first = std::ranges::find_if(
        given_, [](const auto& entry) { return entry.first.starts_with("reward."); });
    if (first == given_.end()) return;
    const auto refuse = [&](bool refused, const std::string& key, const std::string& why) {
      if (refused) throw InputError(WhereOf(key), ": '", key, "' ", why);
    };
    const std::string& key = first->first;
    refuse(!r.reward.given(), key,
           "needs a reward: give 'reward.regex', 'reward.schema', 'reward.command' or "
           "'reward.exact'");
    refuse(r.has_teacher(), key, "and a teacher exclude each other; train one after the other");
    refuse(!r.preference.method.empty(), key,
           "and 'preference.method' exclude each other; train one after the other");
    refuse(
        r.adapter.kind == "none" && r.reward.beta > 0, "reward.beta",
        "needs an adapter: the reference is the model without it; set 'adapter.kind' to lora, or "
        "leave 'reward.beta' out");
    refuse(r.data.over_length == "split", "data.over_length",
           "split cannot be used with rewards: an answer is judged whole");
    refuse(r.train.label_smoothing > 0, "train.label_smoothing",
           "has no use with rewards; leave one out");
  }

  const RecipeKey* Find(const std::string& name) const {
    const auto found = std::ranges::find(keys_, name, &RecipeKey::name);
    return found == keys_.end() ? nullptr : &*found;
  }
  bool IsSection(const std::string& name) const {
    return std::ranges::any_of(keys_, [&](const RecipeKey& k) { return k.section() == name; });
  }
  std::string PlaceOf(const std::string& name) const {
    const auto line = lines_.find(name);
    return line == lines_.end() ? file_ : Cat(file_, ":", line->second);
  }
  std::string WhereOf(const std::string& name) const {
    const auto found = given_.find(name);
    return found == given_.end() ? file_ : found->second.where;
  }

  const std::vector<RecipeKey>& keys_ = RecipeKeys();
  const std::string file_;
  std::map<std::string, int> lines_;
  std::map<std::string, Given> given_;
};

}  // namespace

Recipe ParseRecipe(std::string_view text, const std::string& where, const Path& folder,
                   const std::vector<std::string>& overrides) {
  Reader reader(where);
  reader.AddFile(text, folder);
  for (const std::string& argument : overrides) reader.AddOverride(argument);
  return reader.Build();
}

Recipe ReadRecipe(const Path& file, const std::vector<std::string>& overrides) {
  Recipe recipe = ParseRecipe(ReadText(file), file.string(), file.parent_path(), overrides);
  if (recipe.name.empty()) recipe.name = file.stem().string();
  return recipe;
}

}  // namespace retort
