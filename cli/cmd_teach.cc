// SPDX-License-Identifier: Apache-2.0
// retort teach RECIPE: writes the teacher's logits to a cache, or its answers to a file.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <nlohmann/json.hpp>

#include "base/threads.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/rate_progress.h"
#include "model/store/target.h"
#include "recipes/recipe_reader.h"
#include "session/teaching.h"

namespace retort {
namespace {

struct TeachFlags {
  std::string recipe, out, device, compute;
  std::vector<std::string> set;
  double temperature = 0;
  int64_t max_tokens = 0;
  int threads = 0;
  bool generate = false, json = false;
};

Recipe RecipeOf(const TeachFlags& flags) {
  std::vector<std::string> overrides = flags.set;
  if (flags.threads > 0) overrides.push_back(Cat("train.threads=", flags.threads));
  if (!flags.device.empty()) overrides.push_back(Cat("teacher.device=", flags.device));
  if (!flags.compute.empty()) overrides.push_back(Cat("teacher.compute=", flags.compute));
  if (flags.max_tokens > 0) overrides.push_back(Cat("teacher.max_new_tokens=", flags.max_tokens));
  return ReadRecipe(flags.recipe, overrides);
}

void FillCache(TeachingSession& session, const Recipe& recipe, bool json) {
  TeacherCacheSummary done;
  {
    RateProgress bar("teach", session.examples(), "rows");
    done = session.Cache([&](int64_t examples, int64_t tokens) {
      bar.Update(examples, {{Cat(CountText(static_cast<double>(tokens)), " tokens"), 2}});
    });
  }
  if (json) {
    return PrintJson({{"cache", recipe.teacher.cache.string()},
                      {"examples", done.examples_done},
                      {"tokens", done.tokens_done},
                      {"top_k", done.key.top_k},
                      {"shards", done.shards},
                      {"written_again", done.written_again},
                      {"raw_bytes", done.raw_bytes},
                      {"stored_bytes", done.stored_bytes}});
  }
  PrintLine(Cat(
      recipe.teacher.cache.string(), ": ", done.tokens_done, " tokens of ", done.examples_done,
      " rows in ", done.shards, " shards, ", BytesText(done.stored_bytes), " (",
      BytesText(done.raw_bytes), " before compression)",
      done.written_again > 0 ? Cat("; ", done.written_again, " were damaged and are written again")
                             : std::string()));
}

void WriteAnswers(TeachingSession& session, const TeachFlags& flags) {
  GeneratedAnswers done;
  {
    RateProgress bar("teach", session.rows(), "rows");
    done = session.Generate(flags.out, flags.temperature, std::ref(bar));
  }
  if (flags.json) {
    return PrintJson({{"out", flags.out},
                      {"rows", session.rows()},
                      {"kept", done.kept},
                      {"tokens", done.tokens},
                      {"cut", done.cut}});
  }
  PrintLine(Cat(flags.out, ": ", session.rows(), " answers, ", done.kept, " of them from before, ",
                done.cut, " cut at the longest length"));
}

void Run(const TeachFlags& flags) {
  const Recipe recipe = RecipeOf(flags);
  if (!flags.generate && !flags.out.empty()) throw InputError("--out goes with --generate");
  if (flags.generate && flags.out.empty()) throw InputError("--generate needs --out FILE.jsonl");
  if (flags.generate) {
    std::vector<Path> sources = {recipe.model.path, recipe.teacher.path, recipe.teacher.adapter};
    for (const DataSource& source : recipe.data.train) sources.push_back(source.path);
    CheckTarget(flags.out, TargetKind::kFile, sources);
  }
  TeachingSession session(
      recipe, flags.generate ? TeachingSession::Work::kAnswers : TeachingSession::Work::kCache);
  for (const std::string& line : session.Describe()) Note(line);
  flags.generate ? WriteAnswers(session, flags) : FillCache(session, recipe, flags.json);
}

}  // namespace

void AddTeach(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "teach",
      "Write a teacher's logits for a recipe's rows to its cache, or its answers to a file");
  auto flags = std::make_shared<TeachFlags>();
  command->add_option("recipe", flags->recipe, "recipe file (JSON with comments)")->required();
  command->add_option("--set", flags->set, "a.b=VALUE: overrides a key of the recipe")
      ->allow_extra_args(false);
  command->add_flag("--generate", flags->generate,
                    "write the teacher's answers to the rows' prompts instead");
  command->add_option(
      "--out", flags->out,
      "the file of answers (JSONL); an unfinished file of an earlier call is continued");
  command->add_option("--temperature", flags->temperature, "of the answers; 0: the likeliest token")
      ->check(CLI::NonNegativeNumber);
  command
      ->add_option("--max-tokens", flags->max_tokens,
                   "of an answer, as --set teacher.max_new_tokens=N (0: the recipe's)")
      ->check(CLI::Range(int64_t{0}, kMostCount));
  command->add_option("--device", flags->device, "as --set teacher.device=...");
  command->add_option("--threads", flags->threads, "as --set train.threads=N")
      ->check(CLI::Range(1, kMostThreads));
  command->add_option("--compute", flags->compute, "as --set teacher.compute=...");
  command->add_flag("--json", flags->json, "print one JSON object");
  command->callback([flags] { Run(*flags); });
}

}  // namespace retort
