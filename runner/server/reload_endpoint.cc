// SPDX-License-Identifier: Apache-2.0
#include "runner/server/reload_endpoint.h"

#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "base/text.h"
#include "runner/api/fields.h"
#include "runner/api/openai/request.h"

namespace retort {

void CheckReload(const ReloadOptions& options, const std::string& body) {
  if (!options.open || !options.for_clients)
    throw ApiError(403, "this server reads no model for clients; start it with --allow-reload");
  if (body.empty()) return;
  const Json object = ReadApiBody(body);
  if (object.empty()) return;
  const std::string& key = object.begin().key();
  throw ApiError(400, Cat("'", Shortened(key), "' is not supported"), Shortened(key),
                 "unknown_parameter");
}

std::string NoteOf(const ReloadOutcome& outcome, const std::string& name) {
  switch (outcome.kind) {
    case ReloadOutcome::Kind::kReplaced:
      return Cat("model    ", name, " was read again; new requests go to it");
    case ReloadOutcome::Kind::kUnchanged:
      return Cat("model    ", name, " is as it was: none of its files has changed");
    case ReloadOutcome::Kind::kFailed:
      break;
  }
  return Cat("retort: the model is kept as it was: ", outcome.fault);
}

}  // namespace retort
