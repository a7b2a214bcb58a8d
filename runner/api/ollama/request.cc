// SPDX-License-Identifier: Apache-2.0
// The requests of Ollama's API as those of OpenAI's, which are read and checked as such.
#include "runner/api/openai/request.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "base/text.h"
#include "runner/api/error.h"
#include "runner/api/fields.h"
#include "runner/api/ollama/ollama.h"
#include "runner/api/openai/sampling.h"
#include "runner/api/request.h"

namespace retort {
namespace {

ApiError OllamaRefusal(const std::string& name) {
  return ApiError(400, Cat("'", Shortened(name), "' is not supported"), Shortened(name),
                  "unsupported_value");
}

// Options that say how a model is loaded, which is the server's own affair.
constexpr const char* kLoading[] = {"num_ctx",  "num_batch", "num_gpu",   "main_gpu",
                                    "low_vram", "use_mmap",  "use_mlock", "num_thread",
                                    "numa",     "num_keep",  "vocab_only"};

void ReadOptions(const Json& options, Json& out) {
  if (!options.is_object()) throw BadValue("options", "must be an object");
  for (const auto& [key, value] : options.items()) {
    if (value.is_null() || std::ranges::find(kLoading, key) != std::end(kLoading)) continue;
    const std::vector<std::string>& known = SamplingFields();
    if (key == "num_predict") {
      out["max_tokens"] = value == -2 ? Json(-1) : value;  // -2 fills the context
    } else if (std::ranges::find(known, key) != known.end()) {
      out[key] = value;
    } else {
      throw OllamaRefusal("options." + key);
    }
  }
}

// "json", or a schema.
void ReadFormat(const Json& format, Json& out) {
  if (format == "") return;
  if (format == "json") {
    out["response_format"] = {{"type", "json_object"}};
  } else if (format.is_object()) {
    out["guided_json"] = format;
  } else {
    throw BadValue("format", "must be \"json\" or a JSON schema");
  }
}

// Calls and results have no ids in this API: they belong together by their order.
class MessageIds {
 public:
  Json Read(const Json& message, const std::string& where) {
    if (!message.is_object()) throw BadValue(where, "must be an object");
    Json out = Json::object();
    for (const auto& [key, value] : message.items()) {
      if (value.is_null() || (key == "images" && value.empty())) continue;
      if (std::ranges::find(kMembers, key) == std::end(kMembers))
        throw OllamaRefusal(Cat(where, ".", Shortened(key)));
      if (key == "thinking") {
        if (value != "") out["reasoning_content"] = value;
      } else if (key == "tool_calls" && value.is_array()) {
        out[key] = Calls(value, where);
      } else if (key == "tool_name") {
        out["name"] = value;
      } else {
        out[key] = value;
      }
    }
    if (MemberOf(out, "role") == "tool") out["tool_call_id"] = Cat("call_", answered_++);
    return out;
  }

 private:
  static constexpr std::string_view kMembers[] = {"role",       "content",          "name",
                                                  "tool_calls", "tool_name",        "tool_call_id",
                                                  "thinking",   "reasoning_content"};

  Json Calls(const Json& calls, const std::string& where) {
    Json out = Json::array();
    answered_ = made_;
    for (const Json& call : calls) {
      if (!call.is_object()) throw BadValue(where + ".tool_calls", "must hold objects");
      Json function = MemberOf(call, "function");
      if (function.is_object()) function.erase("index");
      out.push_back({{"id", Cat("call_", made_++)}, {"type", "function"}, {"function", function}});
    }
    return out;
  }

  int64_t made_ = 0, answered_ = 0;
};

Json ChatMessages(const Json& messages) {
  if (!messages.is_array()) throw BadValue("messages", "must be a list of messages");
  MessageIds ids;
  Json out = Json::array();
  for (size_t i = 0; i < messages.size(); ++i)
    out.push_back(ids.Read(messages[i], Cat("messages[", i, "]")));
  return out;
}

// A prompt is a conversation's one message, or a text as it is with "raw".
ApiKind ReadGenerate(const Json& object, Json& out) {
  const Json& prompt = MemberOf(object, "prompt");
  if (!prompt.is_string()) throw BadValue("prompt", "must be a text");
  const Json& system = MemberOf(object, "system");
  const bool any_system = !system.is_null() && system != "";
  if (FlagField(object, "raw")) {
    if (any_system) throw BadValue("system", "cannot go with 'raw'");
    out["prompt"] = prompt;
    return ApiKind::kCompletion;
  }
  out["messages"] = Json::array();
  if (any_system) out["messages"].push_back({{"role", "system"}, {"content", system}});
  out["messages"].push_back({{"role", "user"}, {"content", prompt}});
  return ApiKind::kChat;
}

}  // namespace

std::string OllamaModelName(const std::string& name) {
  constexpr std::string_view kLatest = ":latest";
  return EndsWith(name, kLatest) ? name.substr(0, name.size() - kLatest.size()) : name;
}

ApiRequest ReadOllamaRequest(OllamaKind kind, const std::string& body, uint64_t random_seed) {
  const Json object = ReadApiBody(body);
  Json out = {{"max_tokens", -1}, {"stream", true}};
  ApiKind api = ApiKind::kChat;
  if (kind == OllamaKind::kGenerate) {
    api = ReadGenerate(object, out);
  } else {
    out["messages"] = ChatMessages(MemberOf(object, "messages"));
  }
  for (const auto& [key, value] : object.items()) {
    const bool chat = kind == OllamaKind::kChat;
    if (value.is_null() || key == "messages" || key == "keep_alive") continue;
    if (!chat && (key == "prompt" || key == "system" || key == "raw")) continue;
    if ((key == "suffix" || key == "template") && value == "") continue;
    if ((key == "images" || key == "context") && value.empty()) continue;
    if (key == "options") {
      ReadOptions(value, out);
    } else if (key == "format") {
      ReadFormat(value, out);
    } else if (key == "think") {
      // A model that thinks does so by itself; its template may have a switch against it.
      if (!value.is_boolean()) throw BadValue(key, "must be true or false; it has no levels here");
    } else if (key == "model" && value.is_string()) {
      out[key] = OllamaModelName(value.get<std::string>());
    } else if (key == "stream" || (chat && key == "tools")) {
      out[key] = value;
    } else {
      throw OllamaRefusal(key);
    }
  }
  ApiRequest request = ReadApiObject(api, out, random_seed);
  if (MemberOf(object, "think").is_boolean()) request.think = object["think"].get<bool>();
  return request;
}

}  // namespace retort
