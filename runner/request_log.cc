// SPDX-License-Identifier: Apache-2.0
#include "runner/request_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/random.h"
#include "runner/ollama.h"

namespace retort {
namespace {

constexpr std::string_view kRedacted = "[redacted]";
constexpr int kTelling = 7;        // digits of a number
constexpr size_t kKeyLength = 20;  // characters

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool IsBlank(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

// Whether a word without blanks tells who somebody is.
bool Tells(std::string_view word) {
  const size_t at = word.find('@');
  if (at != std::string_view::npos && at > 0 && at + 1 < word.size()) return true;
  const bool digits = std::ranges::any_of(word, IsDigit);
  const bool letters = std::ranges::any_of(word, IsLetter);
  return word.size() >= kKeyLength && digits && letters;
}

// The length of the number with marks between its digits that begins here; 0: it is a short one.
size_t NumberLength(std::string_view text) {
  constexpr std::string_view kMarks = " .-/()";
  int digits = 0;
  size_t end = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (IsDigit(text[i])) {
      ++digits;
      end = i + 1;
    } else if (kMarks.find(text[i]) == std::string_view::npos || i > end + 1) {
      break;
    }
  }
  return digits >= kTelling ? end : 0;
}

}  // namespace

std::string Redacted(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    if (IsBlank(text.front())) {
      out += text.front();
      text.remove_prefix(1);
      continue;
    }
    const size_t end = std::ranges::find_if(text, IsBlank) - text.begin();
    const std::string_view word = text.substr(0, end);
    if (Tells(word)) {
      out += kRedacted;
      text.remove_prefix(end);
      continue;
    }
    // Numbers may stand anywhere in a word, and go beyond it.
    size_t at = 0;
    while (at < word.size() && !IsDigit(word[at])) ++at;
    out += word.substr(0, at);
    text.remove_prefix(at);
    if (at == word.size()) continue;
    const size_t number = NumberLength(text);
    const size_t digits = std::ranges::find_if_not(text, IsDigit) - text.begin();
    out += number > 0 ? kRedacted : text.substr(0, digits);
    text.remove_prefix(number > 0 ? number : digits);
  }
  return out;
}

RequestLog::RequestLog(const RequestLogOptions& options) : options_(options) {
  if (options_.file.empty()) return;
  constexpr mode_t kOwnersAlone = 0600;
  file_ = ::open(options_.file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK,
                 kOwnersAlone);
  if (file_ < 0)
    throw Failure(options_.file.string(), ": cannot be opened to log requests: ", ErrnoText());
}

RequestLog::~RequestLog() {
  if (file_ >= 0) ::close(file_);
}

void RequestLog::Write(const LoggedRequest& request, const ReplyOutcome& outcome) {
  if (!on()) return;
  const double place = static_cast<double>(NameKey(request.id) >> 11) * 0x1p-53;  // in [0, 1)
  if (outcome.status == 200 && place >= options_.share) return;
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(
      std::chrono::system_clock::now().time_since_epoch());
  const ApiUsage usage = outcome.answer.Usage();
  Json line = {{"time", Rfc3339(now.count())},
               {"id", request.id},
               {"key", request.key.empty() ? Json() : Json(request.key)},
               {"endpoint", request.endpoint},
               {"stream", request.stream},
               {"status", outcome.status},
               {"error", outcome.error.empty() ? Json() : Json(Redacted(outcome.error))},
               {"prompt_tokens", usage.prompt_tokens},
               {"cached_tokens", usage.reused_tokens},
               {"completion_tokens", usage.completion_tokens},
               {"first_token_seconds", outcome.first_token_seconds},
               {"seconds", request.seconds}};
  line["finish_reasons"] = Json::array();
  for (const ApiChoice& choice : outcome.answer.choices)
    line["finish_reasons"].push_back(std::string(NameOf(choice.finish)));
  if (options_.text) {
    line["prompt"] = Redacted(request.prompt);
    line["answers"] = Json::array();
    for (const ApiChoice& choice : outcome.answer.choices)
      line["answers"].push_back(Redacted(choice.said.content));
  }
  const std::string bytes = DumpJson(line) + "\n";
  const std::lock_guard lock(mutex_);
  [[maybe_unused]] const ssize_t written = ::write(file_, bytes.data(), bytes.size());
}

}  // namespace retort
