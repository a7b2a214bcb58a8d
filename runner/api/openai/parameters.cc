// SPDX-License-Identifier: Apache-2.0
#include "runner/api/openai/parameters.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "base/text.h"
#include "runner/api/fields.h"
#include "runner/api/openai/sampling.h"

namespace retort {
namespace {

constexpr size_t kMostNameBytes = 64;  // of a name for which a similar one is looked for

// Accepted without effect, at any value of its type: none of them changes an answer.
struct IgnoredParameter {
  const char* name;
  Json::value_t type;
  const char* type_name;
};
constexpr IgnoredParameter kIgnored[] = {
    {"user", Json::value_t::string, "a text"},
    {"metadata", Json::value_t::object, "an object"},
    {"store", Json::value_t::boolean, "true or false"},
    {"service_tier", Json::value_t::string, "a text"},
    {"safety_identifier", Json::value_t::string, "a text"},
    {"prompt_cache_key", Json::value_t::string, "a text"},
    {"parallel_tool_calls", Json::value_t::boolean, "true or false"},
    {"cache_prompt", Json::value_t::boolean, "true or false"},
    {"id_slot", Json::value_t::number_integer, "an integer"}};

bool HasType(const Json& value, Json::value_t type) {
  if (type == Json::value_t::number_integer) return value.is_number_integer();
  return value.type() == type;
}

// Not supported, and accepted at the values that ask for nothing.
struct NeutralParameter {
  const char* name;
  std::vector<Json> values;
};
const std::vector<NeutralParameter>& NeutralParameters() {
  static const auto* neutral =
      new std::vector<NeutralParameter>{{"best_of", {1}},
                                        {"echo", {false}},
                                        {"suffix", {""}},
                                        {"prompt_logprobs", {0}},
                                        {"use_beam_search", {false}},
                                        {"include_stop_str_in_output", {false}},
                                        {"skip_special_tokens", {true}},
                                        {"add_special_tokens", {true}},
                                        {"modalities", {Json::array({"text"})}},
                                        {"tools", {Json::array()}},
                                        {"tool_choice", {"none", "auto"}},
                                        {"functions", {Json::array()}},
                                        {"function_call", {"none", "auto"}},
                                        {"reasoning_effort", {"none"}}};
  return *neutral;
}

const std::vector<std::string>& UsedParameters(ApiKind kind) {
  static const std::vector<std::string> common = {"model",          "max_tokens",
                                                  "n_predict",      "n",
                                                  "logprobs",       "stream",
                                                  "stream_options", "response_format",
                                                  "grammar",        "guided_json",
                                                  "guided_regex",   "guided_choice",
                                                  "guided_grammar", "structured_outputs",
                                                  "json_schema",    "timings_per_token",
                                                  "n_cmpl",         "field_probabilities",
                                                  "verbose",        "return_progress"};
  static const auto with = [](std::vector<std::string> more) {
    more.insert(more.end(), common.begin(), common.end());
    more.insert(more.end(), SamplingFields().begin(), SamplingFields().end());
    return more;
  };
  static const std::vector<std::string> chat = with(
      {"messages", "max_completion_tokens", "tools", "tool_choice", "parallel_tool_calls",
       "chat_template_kwargs", "top_logprobs", "continue_final_message", "add_generation_prompt"});
  static const std::vector<std::string> completion = with({"prompt", "best_of", "echo", "n_probs"});
  return kind == ApiKind::kChat ? chat : completion;
}

std::string NearestParameter(ApiKind kind, const std::string& name) {
  if (name.size() > kMostNameBytes) return "";
  std::vector<std::string> known = UsedParameters(kind);
  for (const IgnoredParameter& ignored : kIgnored) known.push_back(ignored.name);
  for (const NeutralParameter& neutral : NeutralParameters()) known.push_back(neutral.name);
  return Nearest(name, known);
}

}  // namespace

void CheckParameter(ApiKind kind, const std::string& name, const Json& value) {
  const std::vector<std::string>& used = UsedParameters(kind);
  if (value.is_null() || std::find(used.begin(), used.end(), name) != used.end()) return;
  for (const IgnoredParameter& ignored : kIgnored) {
    if (name != ignored.name) continue;
    if (!HasType(value, ignored.type)) throw BadValue(name, Cat("must be ", ignored.type_name));
    return;
  }
  for (const NeutralParameter& neutral : NeutralParameters()) {
    if (name != neutral.name) continue;
    const auto& values = neutral.values;
    if (std::find(values.begin(), values.end(), value) != values.end()) return;
    throw ApiError(400, Cat("'", name, "' is not supported, but for ", DumpJson(values[0])), name,
                   "unsupported_value");
  }
  const std::string nearest = NearestParameter(kind, name), shown = Shortened(name);
  throw ApiError(400,
                 Cat("'", shown, "' is not supported",
                     nearest.empty() ? "" : Cat("; did you mean '", nearest, "'?")),
                 shown, "unknown_parameter");
}

}  // namespace retort
