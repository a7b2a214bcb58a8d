// SPDX-License-Identifier: Apache-2.0
#include "model/adapter_targets.h"

#include <algorithm>

#include "base/ascii.h"
#include "base/error.h"
#include "base/text.h"
#include "tokenizer/utf8.h"

namespace retort {
namespace {

constexpr const char* kAllLinear = "all-linear";

// Calls visit with every dotted end of a name, the name itself included, until one returns true.
template <class Visit>
bool AnySuffix(std::string_view name, Visit visit) {
  for (size_t dot = name.size(); (dot = name.rfind('.', dot - 1)) != name.npos;) {
    if (visit(name.substr(dot + 1))) return true;
    if (dot == 0) break;
  }
  return visit(name);
}

// Python reads {,3} as {0,3}; PCRE2 reads it as these four characters.
std::string FromPython(const std::string& pattern) {
  std::string out;
  bool in_class = false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    out += pattern[i];
    if (pattern[i] == '\\' && i + 1 < pattern.size()) {
      out += pattern[++i];
    } else if (pattern[i] == '[') {
      in_class = true;
    } else if (pattern[i] == ']') {
      in_class = false;
    } else if (!in_class && pattern.compare(i, 2, "{,") == 0 && i + 2 < pattern.size() &&
               IsDigit(pattern[i + 2])) {
      out += '0';
    }
  }
  return out;
}

void Compile(const std::string& pattern, std::optional<WholeRegex>* out) {
  if (!pattern.empty()) out->emplace(FromPython(pattern), "adapter");
}

// The expressions for the end of a name from a dot on, with their numbers.
template <class Number>
auto CompileEnds(const char* key, const std::map<std::string, Number>& patterns) {
  std::vector<std::pair<WholeRegex, Number>> out;
  out.reserve(patterns.size());
  for (const auto& [given, number] : patterns) {
    const std::string pattern = FromPython(given);
    const WholeRegex alone(pattern, key);  // so that an error shows what was given
    out.emplace_back(WholeRegex(Cat("(.*\\.)?(", pattern, ")"), key), number);
  }
  return out;
}

template <class Number>
Number FirstMatch(std::vector<std::pair<WholeRegex, Number>>& patterns, const std::string& name,
                  Number usual) {
  for (auto& [pattern, number] : patterns) {
    if (pattern.Matches(name)) return number;
  }
  return usual;
}

// Layers that may be named as targets: all but routers.
bool MayAdapt(const LinearSpec& linear) { return linear.use != LinearUse::kRouter; }

// The layers' own names without the path to them: q_proj, k_proj, ...
std::vector<std::string> KnownNames(const Layout& layout) {
  std::vector<std::string> names;
  for (const LinearSpec& linear : layout.linears) {
    std::string name = linear.name.substr(linear.name.rfind('.') + 1);
    if (MayAdapt(linear) && !std::ranges::count(names, name)) names.push_back(std::move(name));
  }
  return names;
}

Error MatchesNothing(const char* key, const std::string& member, const Layout& layout) {
  const std::vector<std::string> known = KnownNames(layout);
  const std::string near = member.size() > 80 ? "" : Nearest(member, known);
  return InputError(key, ": ", Quoted(member), " is no linear layer of this model",
                    near.empty() ? "" : Cat("; did you mean '", near, "'?"),
                    "; known: ", Join(known, ", "));
}

}  // namespace

const std::string& ParameterOf(const TensorSpec& spec) {
  return spec.stacked.name.empty() ? spec.name : spec.stacked.name;
}

bool NamesParameter(const std::string& member, const std::string& parameter) {
  return parameter == member || parameter.ends_with("." + member);
}

AdapterTargets::AdapterTargets(const AdapterConfig& config)
    : config_(config),
      targets_(config.targets.begin(), config.targets.end()),
      excluded_(config.exclude.begin(), config.exclude.end()),
      layers_(config.layers.begin(), config.layers.end()) {
  const bool by_pattern = config.targets.empty() && config.target_pattern != kAllLinear;
  if (by_pattern) Compile(config.target_pattern, &target_);
  Compile(config.exclude_pattern, &exclude_);
  ranks_ = CompileEnds("'rank_pattern'", config.ranks);
  alphas_ = CompileEnds("'alpha_pattern'", config.alphas);
}

int64_t AdapterTargets::RankOf(const LinearSpec& linear) {
  return FirstMatch(ranks_, linear.name, config_.rank);
}

double AdapterTargets::AlphaOf(const LinearSpec& linear) {
  return FirstMatch(alphas_, linear.name, config_.alpha);
}

// What is trained whole has no adapter: one of the names stands in `name` between dots.
bool AdapterTargets::IsPartOfSaved(const std::string& name) const {
  return std::ranges::any_of(config_.saved_modules, [&](const std::string& member) {
    return Cat(".", name, ".").find(Cat(".", member, ".")) != std::string::npos;
  });
}

bool AdapterTargets::Has(const LinearSpec& linear) {
  const auto ends_in = [&](const Suffixes& suffixes) {
    return AnySuffix(linear.name, [&](std::string_view end) { return suffixes.contains(end); });
  };
  if (!MayAdapt(linear) || ends_in(excluded_) || IsPartOfSaved(linear.name)) return false;
  if (exclude_ && exclude_->Matches(linear.name)) return false;
  if (targets_.contains(std::string_view(linear.name))) return true;  // whatever its layer
  if (!layers_.empty() && !layers_.contains(linear.layer)) return false;
  if (!config_.targets.empty()) return ends_in(targets_);
  if (config_.target_pattern == kAllLinear) return linear.adaptable() && linear.expert < 0;
  return target_ && target_->Matches(linear.name);
}

void AdapterTargets::CheckAllMatch(const Layout& layout) {
  std::vector<const LinearSpec*> adaptable;
  Suffixes known;
  for (const LinearSpec& linear : layout.linears) {
    if (!MayAdapt(linear)) continue;
    adaptable.push_back(&linear);
    AnySuffix(linear.name, [&](std::string_view end) { return known.insert(end), false; });
  }
  const auto check = [&](const char* key, const std::vector<std::string>& members,
                         std::optional<WholeRegex>& expression) {
    for (const std::string& member : members) {
      if (!known.contains(member)) throw MatchesNothing(key, member, layout);
    }
    const auto matches = [&](const LinearSpec* linear) {
      return expression->Matches(linear->name);
    };
    if (!expression || std::ranges::any_of(adaptable, matches)) return;
    throw InputError(
        key, ": the expression ", Quoted(expression->pattern()),
        " matches the whole name of no linear layer, such as '",
        adaptable.empty() ? "" : adaptable.front()->name,
        "'; to name layers by their last part, give a list of: ", Join(KnownNames(layout), ", "));
  };
  check("adapter.targets", config_.targets, target_);
  check("adapter.exclude", config_.exclude, exclude_);
  CheckPatterns("adapter.rank_pattern", ranks_, layout);
  CheckPatterns("adapter.alpha_pattern", alphas_, layout);
}

template <class Number>
void AdapterTargets::CheckPatterns(const char* key, Patterns<Number>& patterns,
                                   const Layout& layout) {
  for (auto& entry : patterns) {
    WholeRegex& pattern = entry.first;
    const bool of_layer = std::ranges::any_of(layout.linears, [&](const LinearSpec& linear) {
      return pattern.Matches(linear.name) && Has(linear);
    });
    const bool of_parameter = std::ranges::any_of(layout.tensors, [&](const TensorSpec& spec) {
      const std::string& name = ParameterOf(spec);
      return std::ranges::any_of(config_.parameters, [&](const std::string& member) {
        return NamesParameter(member, name) && pattern.Matches(name);
      });
    });
    if (of_layer || of_parameter) continue;
    const std::string whole = pattern.pattern();
    throw InputError(key, ": ", Quoted(whole.substr(8, whole.size() - 9)),
                     " matches the end of no name of a layer with an adapter; names are such as ",
                     Join(KnownNames(layout), ", "));
  }
}

}  // namespace retort
