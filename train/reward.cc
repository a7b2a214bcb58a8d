// SPDX-License-Identifier: Apache-2.0
#include "train/reward.h"

#include <sys/mman.h>
#include <unistd.h>

#include <charconv>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "base/text.h"
#include "grammar/lasting_grammar.h"
#include "tokenizer/regex.h"

namespace retort {
namespace {

std::string_view Bare(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) + 1 - begin);
}

// A file in memory.
class InputFile {
 public:
  explicit InputFile(std::string_view text) : fd_(::memfd_create("reward", 0)) {
    while (fd_ >= 0 && !text.empty()) {
      const ssize_t n = ::write(fd_, text.data(), text.size());
      if (n <= 0) break;
      text.remove_prefix(static_cast<size_t>(n));
    }
    if (!text.empty()) throw Failure("the input of reward.command: ", ErrnoText());
  }
  ~InputFile() { ::close(fd_); }
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;
  // As a child process may open it.
  std::string path() const { return Cat("/proc/self/fd/", fd_); }

 private:
  int fd_;
};

// All that the program writes. Its input is a file, so that neither waits for the other. A signal
// that asks this process to stop reaches its children too, from a terminal or a supervisor; the
// step that is under way is finished all the same, so the program must not end by it.
std::string OutputOf(const std::string& command, const std::string& input) {
  const InputFile file(input);
  FILE* pipe =
      ::popen(Cat("trap '' INT TERM HUP\n{ ", command, "\n} < ", file.path()).c_str(), "re");
  if (!pipe) throw Failure("reward.command cannot be started: ", ErrnoText());
  std::string out;
  char buffer[4096];
  for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) out.append(buffer, n);
  const int status = ::pclose(pipe);
  if (status != 0)
    throw Failure("reward.command ", Quoted(command), " ended with status ",
                  status > 255 ? status >> 8 : status);
  return out;
}

std::vector<double> Numbers(const std::string& text, const std::string& command) {
  std::vector<double> out;
  for (const std::string& line : Split(text, '\n')) {
    const std::string_view bare = Bare(line);
    if (bare.empty()) continue;
    double value = 0;
    const auto [end, error] = std::from_chars(bare.data(), bare.data() + bare.size(), value);
    if (error != std::errc() || end != bare.data() + bare.size() || !std::isfinite(value))
      throw Failure("reward.command ", Quoted(command), " wrote ", Quoted(line),
                    ", which is no number");
    out.push_back(value);
  }
  return out;
}

class SumOfRewards : public Reward {
 public:
  explicit SumOfRewards(const RewardOptions& options) : options_(options) {
    if (!options.regex.empty()) regex_.emplace(options.regex, "'reward.regex'");
    if (!options.schema.empty()) {
      schema_.emplace(
          GrammarSource{GrammarSource::Kind::kSchema, options.schema, JsonSpace::kFlexible},
          "'reward.schema'");
    }
  }

  std::vector<double> Of(const std::vector<Attempt>& attempts) override {
    std::vector<double> out(attempts.size());
    for (size_t i = 0; i < attempts.size(); ++i) {
      const std::string_view answer = Bare(attempts[i].answer);
      if (regex_) out[i] += regex_->MatchesText(answer);
      if (schema_) out[i] += Satisfies(answer);
      if (options_.exact) out[i] += answer == Bare(attempts[i].expected);
    }
    if (!options_.command.empty() && !attempts.empty()) AddCommand(attempts, out);
    return out;
  }

 private:
  // An answer that takes more than a grammar's limits to read is none that was meant.
  bool Satisfies(std::string_view answer) const {
    try {
      return schema_->Get()->Matches(answer);
    } catch (const Error& e) {
      if (e.kind() != Error::Kind::kInput) throw;
      return false;
    }
  }
  void AddCommand(const std::vector<Attempt>& attempts, std::vector<double>& out) const {
    std::string input;
    for (const Attempt& a : attempts)
      input +=
          DumpJson(Json{{"prompt", a.prompt}, {"answer", a.answer}, {"expected", a.expected}}) +
          "\n";
    const std::vector<double> said = Numbers(OutputOf(options_.command, input), options_.command);
    if (said.size() != attempts.size()) {
      throw Failure("reward.command ", Quoted(options_.command), " wrote ", said.size(),
                    " numbers for ", attempts.size(), " answers; it must write one line for each");
    }
    for (size_t i = 0; i < out.size(); ++i) out[i] += said[i];
  }

  const RewardOptions options_;
  std::optional<WholeRegex> regex_;
  std::optional<LastingGrammar> schema_;
};

class AlternatingReward : public Reward {
 public:
  std::vector<double> Of(const std::vector<Attempt>& attempts) override {
    std::vector<double> out(attempts.size());
    for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<double>(i % 2);
    return out;
  }
};

}  // namespace

std::unique_ptr<Reward> MakeAlternatingReward() { return std::make_unique<AlternatingReward>(); }

std::unique_ptr<Reward> MakeReward(const RewardOptions& options) {
  return std::make_unique<SumOfRewards>(options);
}

}  // namespace retort
