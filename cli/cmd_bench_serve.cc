// SPDX-License-Identifier: Apache-2.0
// retort bench serve URL...: what clients get of servers under load.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "bench/load/page.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/progress.h"

namespace retort {
namespace {

struct LoadFlags {
  std::vector<std::string> urls, lengths;
  std::vector<int64_t> clients = {1, 2, 4, 8, 16, 32, 64};
  std::vector<double> rates;
  std::string page;
  LoadPlan plan;
  bool completions = false, json = false;
};

// "128:64"
LoadLength LengthIn(const std::string& text) {
  constexpr int64_t kMost = 1 << 20;
  LoadLength length;
  const size_t colon = std::min(text.find(':'), text.size());
  const auto read = [&](std::string_view part, int64_t& number) {
    const auto [end, fault] = std::from_chars(part.data(), part.data() + part.size(), number);
    return fault == std::errc() && end == part.data() + part.size() && number >= 1 &&
           number <= kMost;
  };
  const std::string_view whole = text;
  if (!read(whole.substr(0, colon), length.prompt) || colon == text.size() ||
      !read(whole.substr(colon + 1), length.answer))
    throw InputError("--lengths ", Quoted(text), ": must be PROMPT:ANSWER, such as 128:64");
  return length;
}

std::vector<LoadLevel> LevelsOf(const LoadFlags& flags) {
  std::vector<LoadLevel> levels;
  for (const double rate : flags.rates) levels.push_back({0, rate});
  if (levels.empty()) {
    for (const int64_t clients : flags.clients) levels.push_back({clients, 0});
  }
  return levels;
}

Json JsonOf(const Percentiles& p) { return {{"p50", p.p50}, {"p95", p.p95}, {"p99", p.p99}}; }

void Print(const LoadFlags& flags, const std::string& url, const LoadResult& r) {
  if (flags.json) {
    return PrintJson({{"work", "serve"},
                      {"url", url},
                      {"clients", r.level.clients},
                      {"rate", r.level.rate},
                      {"tokens_per_second", r.tokens_per_second},
                      {"requests_per_second", r.requests_per_second},
                      {"first_token_seconds", JsonOf(r.first)},
                      {"between_tokens_seconds", JsonOf(r.between)},
                      {"answer_seconds", JsonOf(r.whole)},
                      {"prompt_tokens", r.prompt_tokens},
                      {"answer_tokens", r.answer_tokens},
                      {"answered", r.answered},
                      {"failed", r.failed},
                      {"fault", r.fault}});
  }
  char times[160];
  std::snprintf(times, sizeof times,
                "%8.1f tokens/s  first %.0f / %.0f / %.0f ms  between %.1f / %.1f / %.1f ms  "
                "answer %.2f / %.2f / %.2f s",
                r.tokens_per_second, 1e3 * r.first.p50, 1e3 * r.first.p95, 1e3 * r.first.p99,
                1e3 * r.between.p50, 1e3 * r.between.p95, 1e3 * r.between.p99, r.whole.p50,
                r.whole.p95, r.whole.p99);
  PrintLine(Cat(url, "  ", LevelName(r.level), times,
                r.failed > 0 ? Cat("  ", r.failed, " failed: ", r.fault) : ""));
}

LoadPlan PlanFor(const LoadFlags& flags, const LoadedServer& server) {
  LoadPlan plan = flags.plan;
  plan.model = server.model;
  return plan;
}

// A request that is not counted: the first one finds cold caches.
void WarmUp(const LoadFlags& flags, const ServerAddress& address, const LoadedServer& server) {
  LoadPlan plan = PlanFor(flags, server);
  plan.requests = 1;
  ++plan.seed;
  RunLoad(address, plan, {.clients = 1}, [](int64_t, int64_t) {});
}

// The servers take turns at each level, so that what else the machine does concerns all of them.
void Run(LoadFlags flags) {
  flags.plan.chat = !flags.completions;
  if (!flags.lengths.empty()) flags.plan.lengths.clear();
  for (const std::string& text : flags.lengths) flags.plan.lengths.push_back(LengthIn(text));
  std::vector<ServerAddress> addresses;
  std::vector<LoadedServer> servers;
  for (const std::string& url : flags.urls) {
    addresses.push_back(ParseServerUrl(url));
    const std::string model = flags.plan.model.empty()
                                  ? FirstModelOf(addresses.back(), flags.plan.key)
                                  : flags.plan.model;
    servers.push_back({url, model, {}});
    WarmUp(flags, addresses.back(), servers.back());
  }
  for (const LoadLevel& level : LevelsOf(flags)) {
    for (size_t i = 0; i < servers.size(); ++i) {
      ProgressBar bar(LevelName(level));
      servers[i].results.push_back(
          RunLoad(addresses[i], PlanFor(flags, servers[i]), level,
                  [&](int64_t done, int64_t of) { bar.Update(done, of, servers[i].url); }));
      Print(flags, servers[i].url, servers[i].results.back());
    }
  }
  for (const LoadedServer& server : servers) {
    const LoadResult& knee = server.results[KneeOf(server.results)];
    if (knee.answered == 0) throw Failure(server.url, " answered nothing: ", knee.fault);
    Note(Cat(server.url, ": knee at ", LevelName(knee.level)));
  }
  if (flags.page.empty()) return;
  const std::string asked = flags.lengths.empty() ? "128:64" : Join(flags.lengths, ", ");
  WriteTextAtomically(flags.page, LoadPage(servers, Cat("Words of a prompt : most tokens of its "
                                                        "answer: ",
                                                        asked)));
}

}  // namespace

void AddBenchServe(CLI::App& bench) {
  CLI::App* command = bench.add_subcommand(
      "serve", "Load OpenAI-compatible servers, and tell what their clients get");
  auto flags = std::make_shared<LoadFlags>();
  command->add_option("url", flags->urls, "servers: http://127.0.0.1:8080, ...")->required();
  command
      ->add_option("--clients", flags->clients,
                   "closed loop: levels of clients that ask again when they have their answer")
      ->delimiter(',')
      ->check(CLI::Range(1, 1024));
  command
      ->add_option("--rate", flags->rates,
                   "open loop instead: levels of requests a second, at random times")
      ->delimiter(',')
      ->check(CLI::Range(1e-3, 1e4));
  command
      ->add_option("--lengths", flags->lengths,
                   "PROMPT:ANSWER,...: words of prompts and most tokens of answers, in turn; "
                   "128:64 unless given")
      ->delimiter(',');
  command
      ->add_option("--requests", flags->plan.requests,
                   "requests of each level; 0: four for each client, 16 at least")
      ->check(CLI::Range(0, 4096));
  command->add_option("--model", flags->plan.model, "the model's name; the server's first");
  command->add_option("--api-key", flags->plan.key, "sent as Authorization: Bearer KEY")
      ->envname("RETORT_API_KEY");
  command->add_option("--seed", flags->plan.seed, "of prompts and random times");
  command->add_flag("--completions", flags->completions, "texts to complete, not chats");
  command->add_flag("--ignore-eos", flags->plan.ignore_eos,
                    "answers of full length, from servers that know this parameter");
  command->add_option("--page", flags->page, "an HTML file to write: times against throughput");
  command->add_flag("--json", flags->json, "print a JSON object for each level");
  command->callback([flags] { Run(*flags); });
}

}  // namespace retort
