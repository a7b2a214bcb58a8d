// SPDX-License-Identifier: Apache-2.0
#include "runner/server/handlers.h"

#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "runner/server/adapter_endpoints.h"
#include "runner/server/page.h"
#include "runner/server/reload_endpoint.h"

namespace retort {

HttpAnswer HandlePage(const ServerState& server, const HttpHead& head,
                      const std::string& /*rest*/) {
  if (!server.options.page) throw NoSuchPath(head.path);
  return PageAnswer();
}

HttpAnswer HandleLive(const ServerState& /*server*/, const HttpHead& /*head*/,
                      const std::string& /*rest*/) {
  return JsonAnswer({{"status", "ok"}});
}

HttpAnswer HandleReady(const ServerState& server, const HttpHead& /*head*/,
                       const std::string& /*rest*/) {
  const bool full = server.current.Get()->full();
  HttpAnswer answer = JsonAnswer({{"status", full ? "full" : "ok"}});
  if (full) answer.status = 503;
  return answer;
}

HttpAnswer HandleMetrics(const ServerState& server, const HttpHead& /*head*/,
                         const std::string& /*rest*/) {
  const ServerRecords& records = server.records;
  return {200,
          records.metrics.Text(server.current.counts()) + records.drift.Text(),
          "text/plain; version=0.0.4; charset=utf-8",
          {{"Process-Start-Time-Unix", Cat(records.metrics.since())}}};
}

HttpAnswer HandleModel(const ServerState& server, const HttpHead& /*head*/,
                       const std::string& rest) {
  return JsonAnswer(server.info.Model(rest));
}

HttpAnswer HandleSlots(const ServerState& server, const HttpHead& head,
                       const std::string& /*rest*/) {
  return JsonAnswer(server.info.Slots(!QueryValue(head, "fail_on_no_slot").empty()));
}

void HandleProgram(ServerState& server, const std::shared_ptr<PendingRequest>& request) {
  server.Start(*request);
}

void HandleShow(ServerState& server, const std::shared_ptr<PendingRequest>& request) {
  server.Finish(*request, server.info.Show(request->http->body));
}

void HandleLoadAdapter(ServerState& server, const std::shared_ptr<PendingRequest>& request) {
  const auto held = server.current.HoldAdapters();
  const auto adapter =
      LoadAdapter(*server.current.Get(), server.options.adapters.root, request->http->body);
  server.Finish(*request, server.info.Model(adapter->name()));
}

void HandleUnloadAdapter(ServerState& server, const std::shared_ptr<PendingRequest>& request) {
  const auto held = server.current.HoldAdapters();
  server.Finish(*request, UnloadAdapter(*server.current.Get(), server.options.adapters.root,
                                        request->http->body));
}

void HandleReload(ServerState& server, const std::shared_ptr<PendingRequest>& request) {
  CheckReload(server.options.reload, request->http->body);
  server.Reload(request);
}

}  // namespace retort
