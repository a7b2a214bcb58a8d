// SPDX-License-Identifier: Apache-2.0
#include "runner/server/adapter_endpoints.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "base/text.h"
#include "runner/api/fields.h"
#include "runner/api/openai/request.h"

namespace retort {
namespace {

Json ReadBody(const Path& root, const std::string& body,
              std::initializer_list<std::string_view> known) {
  if (root.empty())
    throw ApiError(403, "this server loads no adapters for clients; start it with --adapter-root");
  Json object = ReadApiBody(body);
  for (const auto& [key, value] : object.items()) {
    if (value.is_null() || std::ranges::find(known, key) != known.end()) continue;
    throw ApiError(400, Cat("'", Shortened(key), "' is not supported"), Shortened(key),
                   "unknown_parameter");
  }
  return object;
}

// The folder that a client means, below the root. Links are followed first, so none leads out.
Path FolderBelow(const Path& root, const std::string& given) {
  std::error_code error;
  const Path top = std::filesystem::canonical(root, error);
  Path folder = error ? Path() : std::filesystem::canonical(top / given, error);
  const auto at = std::ranges::mismatch(top, folder);
  if (error || at.in1 != top.end() || at.in2 == folder.end())
    throw BadValue("lora_path", Cat("must be a folder below this server's --adapter-root, not '",
                                    Shortened(given), "'"));
  return folder;
}

}  // namespace

std::shared_ptr<const ServedVariant> LoadAdapter(ModelService& service, const Path& root,
                                                 const std::string& body) {
  const Json object = ReadBody(root, body, {"lora_name", "lora_path"});
  const std::string name = TextField(object, "lora_name");
  return service.LoadAdapter(name, FolderBelow(root, TextField(object, "lora_path")));
}

Json UnloadAdapter(ModelService& service, const Path& root, const std::string& body) {
  const Json object = ReadBody(root, body, {"lora_name"});
  const std::string name = TextField(object, "lora_name");
  service.UnloadAdapter(name);
  return {{"id", name}, {"object", "model"}, {"deleted", true}};
}

}  // namespace retort
