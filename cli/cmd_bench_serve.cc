// SPDX-License-Identifier: Apache-2.0
// retort bench serve URL...: what clients get of servers under load.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>

#include "base/error.h"
#include "base/text.h"
#include "bench/load/page.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/progress.h"
#include "model/store/target.h"

namespace retort {
namespace {

struct LoadFlags {
  std::vector<std::string> urls, lengths;
  std::vector<int64_t> clients = {1, 2, 4, 8, 16, 32, 64};
  std::vector<double> rates;
  std::string page;
  std::optional<uint64_t> seed;
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
    for (const int64_t clients : flags.clients) {
      if (flags.plan.requests > 0 && flags.plan.requests < clients) {
        throw InputError("--requests ", flags.plan.requests, ": fewer than the ", clients,
                         " clients of a level; give as many at least, or fewer --clients");
      }
      levels.push_back({clients, 0});
    }
  }
  return levels;
}

Json JsonOf(const Percentiles& p) {
  const auto value = [](const std::optional<double>& v) { return v ? Json(*v) : Json(); };
  return {{"p50", value(p.p50)}, {"p95", value(p.p95)}, {"p99", value(p.p99)}};
}

void Print(const LoadFlags& flags, const std::string& url, const LoadResult& r) {
  if (flags.json) {
    return PrintJson({{"work", "serve"},
                      {"url", url},
                      {"clients", r.level.clients},
                      {"rate", r.level.rate},
                      {"tokens_per_second", r.tokens_per_second},
                      {"requests_per_second", r.requests_per_second},
                      {"first_token_seconds", JsonOf(r.first)},
                      {"between_texts_seconds", JsonOf(r.between)},
                      {"each_token_seconds", JsonOf(r.each)},
                      {"answer_seconds", JsonOf(r.whole)},
                      {"prompt_tokens", r.prompt_tokens},
                      {"answer_tokens", r.answer_tokens},
                      {"answered", r.answered},
                      {"failed", r.failed},
                      {"fault", r.fault},
                      {"seed", *flags.seed}});
  }
  char rate[40];
  std::snprintf(rate, sizeof rate, "%8.1f tokens/s", r.tokens_per_second);
  PrintLine(Cat(url, "  ", LevelName(r.level), rate, "  first ", PercentilesText(r.first, 1e3),
                " ms  between texts ", PercentilesText(r.between, 1e3), " ms  each token ",
                PercentilesText(r.each, 1e3), " ms  answer ", PercentilesText(r.whole, 1), " s",
                r.failed > 0 ? Cat("  ", r.failed, " failed: ", r.fault) : ""));
}

// A run of all levels on all servers.
class Comparison {
 public:
  explicit Comparison(const LoadFlags& flags) : flags_(flags), levels_(LevelsOf(flags)) {}

  // The servers take turns at each level, so that what else the machine does concerns all of them.
  void Run() {
    for (const std::string& url : flags_.urls) addresses_.push_back(ResolveServerUrl(url));
    for (const ServerAddress& address : addresses_) Open(address);
    for (const LoadLevel& level : levels_) {
      for (size_t i = 0; i < servers_.size(); ++i) {
        servers_[i].results.push_back(Loaded(i, level));
        Print(flags_, servers_[i].url, servers_[i].results.back());
      }
      WritePage();
    }
    for (const LoadedServer& server : servers_) {
      const LoadResult& knee = server.results[KneeOf(server.results)];
      if (knee.answered == 0) throw Failure(server.url, " answered nothing: ", knee.fault);
      Note(Cat(server.url, ": knee at ", LevelName(knee.level)));
    }
  }

 private:
  // Asks for the model, and makes a request that is not counted: the first one finds cold caches.
  void Open(const ServerAddress& address) {
    const bool named = !flags_.plan.model.empty();
    servers_.push_back(
        {address.url, named ? flags_.plan.model : FirstModelOf(address, flags_.plan.key), {}});
    LoadPlan plan = NextPlan(servers_.back());
    plan.requests = 1;
    const LoadResult result = RunLoad(address, plan, {.clients = 1}, [](int64_t, int64_t) {});
    if (result.failed > 0) throw Failure(address.url, " answered nothing: ", result.fault);
  }
  LoadResult Loaded(size_t server, const LoadLevel& level) {
    const std::string& url = servers_[server].url;
    ProgressBar bar(LevelName(level));
    return RunLoad(addresses_[server], NextPlan(servers_[server]), level,
                   [&](int64_t done, int64_t of) { bar.Update(done, of, url); });
  }
  // With prompts that no server has seen in this run.
  LoadPlan NextPlan(const LoadedServer& server) {
    LoadPlan plan = flags_.plan;
    plan.model = server.model;
    plan.part = part_++;
    return plan;
  }
  // After each level, so that what was measured stays if the rest fails.
  void WritePage() const {
    if (flags_.page.empty()) return;
    const std::string asked = flags_.lengths.empty() ? "128:64" : Join(flags_.lengths, ", ");
    WriteTextAtomically(flags_.page,
                        LoadPage(servers_, Cat("Words of a prompt : most tokens of its answer: ",
                                               asked, "; seed ", flags_.plan.seed)));
  }

  const LoadFlags& flags_;
  const std::vector<LoadLevel> levels_;
  std::vector<ServerAddress> addresses_;
  std::vector<LoadedServer> servers_;
  uint64_t part_ = 0;
};

void Run(LoadFlags flags) {
  flags.plan.chat = !flags.completions;
  if (!flags.lengths.empty()) flags.plan.lengths.clear();
  for (const std::string& text : flags.lengths) flags.plan.lengths.push_back(LengthIn(text));
  for (const std::string& url : flags.urls) ParseServerUrl(url);  // before any is asked
  Comparison comparison(flags);
  if (!flags.page.empty()) CheckTarget(flags.page, TargetKind::kFile);
  if (!flags.seed) Note(Cat("seed ", flags.seed.emplace(std::random_device{}())));
  flags.plan.seed = *flags.seed;
  comparison.Run();
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
      ->allow_extra_args(false)
      ->check(CLI::Range(1, 1024));
  command
      ->add_option("--rate", flags->rates,
                   "open loop instead: levels of requests a second, at random times")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::Range(1e-3, 1e4));
  command
      ->add_option("--lengths", flags->lengths,
                   "PROMPT:ANSWER,...: words of prompts and most tokens of answers, in turn; "
                   "128:64 unless given")
      ->delimiter(',')
      ->allow_extra_args(false);
  command
      ->add_option("--requests", flags->plan.requests,
                   "requests of each level; 0: four for each client, 40 at least, or those of half "
                   "a minute, 100 at least")
      ->check(CLI::Range(0, 1 << 20));
  command->add_option("--timeout", flags->plan.seconds, "seconds that a whole answer may take; 600")
      ->check(CLI::Range(1, 86400));
  command->add_option("--model", flags->plan.model, "the model's name; the server's first");
  command->add_option("--api-key", flags->plan.key, "sent as Authorization: Bearer KEY")
      ->envname("RETORT_API_KEY");
  command->add_option("--seed", flags->seed,
                      "of prompts and random times; unless given, a new one, which is printed");
  command->add_flag("--completions", flags->completions, "texts to complete, not chats");
  command->add_flag("--ignore-eos", flags->plan.ignore_eos,
                    "answers of full length, from servers that know this parameter");
  command->add_option("--page", flags->page, "an HTML file to write: times against throughput");
  command->add_flag("--json", flags->json, "print a JSON object for each level");
  command->callback([flags] { Run(*flags); });
}

}  // namespace retort
