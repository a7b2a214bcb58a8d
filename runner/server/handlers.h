// SPDX-License-Identifier: Apache-2.0
// What answers endpoints of the table in routes.cc that have a way of their own.
#pragma once

#include <memory>
#include <string>

#include "runner/server/state.h"

namespace retort {

// Answered from the header.
HttpAnswer HandlePage(const ServerState& server, const HttpHead& head, const std::string& rest);
HttpAnswer HandleLive(const ServerState& server, const HttpHead& head, const std::string& rest);
// Not ready: another request would be refused.
HttpAnswer HandleReady(const ServerState& server, const HttpHead& head, const std::string& rest);
HttpAnswer HandleMetrics(const ServerState& server, const HttpHead& head, const std::string& rest);
HttpAnswer HandleModel(const ServerState& server, const HttpHead& head, const std::string& rest);
HttpAnswer HandleSlots(const ServerState& server, const HttpHead& head, const std::string& rest);

// Answered from the body.
void HandleProgram(ServerState& server, const std::shared_ptr<PendingRequest>& request);
void HandleShow(ServerState& server, const std::shared_ptr<PendingRequest>& request);
void HandleLoadAdapter(ServerState& server, const std::shared_ptr<PendingRequest>& request);
void HandleUnloadAdapter(ServerState& server, const std::shared_ptr<PendingRequest>& request);
void HandleReload(ServerState& server, const std::shared_ptr<PendingRequest>& request);

}  // namespace retort
