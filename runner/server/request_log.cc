// SPDX-License-Identifier: Apache-2.0
#include "runner/server/request_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "base/ascii.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"

namespace retort {
namespace {

constexpr std::string_view kRedacted = "[redacted]";
constexpr int kTelling = 7;             // digits of a number
constexpr size_t kKeyLength = 20;       // characters
constexpr size_t kMostText = 64 << 10;  // bytes of a prompt or an answer
constexpr size_t kMostError = 100;      // bytes of an error

bool IsBlank(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

// Whether a word without blanks tells who somebody is.
bool Tells(std::string_view word) {
  const size_t at = word.find('@', 1);
  if (at != std::string_view::npos && at + 1 < word.size()) return true;
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

// The redacted text, or its beginning up to a word's, which may tell more when it is cut.
std::string Beginning(std::string_view text) {
  if (text.size() <= kMostText) return Redacted(text);
  const size_t blank = text.substr(0, kMostText).find_last_of(" \n\t\r");
  const size_t end = blank == std::string_view::npos ? 0 : blank + 1;
  return Cat(Redacted(text.substr(0, end)), "[", text.size() - end, " bytes more]");
}

// An error may quote the request; what is no JSON, up to its fault.
std::string ErrorText(const std::string& error) {
  const std::string text = Redacted(error.substr(0, error.find("; last read: ")));
  return text.size() <= kMostError ? text : text.substr(0, kMostError) + "...";
}

}  // namespace

std::string Redacted(std::string_view text) {
  std::string out;
  size_t at = 0, known = 0;  // the end of the last word that was looked at
  while (at < text.size()) {
    if (IsBlank(text[at])) {
      out += text[at++];
      continue;
    }
    if (at >= known) {
      known = static_cast<size_t>(
          std::find_if(text.begin() + static_cast<ptrdiff_t>(at), text.end(), IsBlank) -
          text.begin());
      if (Tells(text.substr(at, known - at))) {
        out += kRedacted;
        at = known;
        continue;
      }
    }
    // Numbers may stand anywhere in a word, and go beyond it.
    const size_t number = IsDigit(text[at]) ? NumberLength(text.substr(at)) : 0;
    if (number > 0) {
      out += kRedacted;
      at += number;
      continue;
    }
    // A short number is told whole: its end alone would be looked at otherwise.
    do out += text[at++];
    while (IsDigit(text[at - 1]) && at < text.size() && IsDigit(text[at]));
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
  const double place = static_cast<double>(request.draw >> 11) * 0x1p-53;  // in [0, 1)
  if (outcome.status == 200 && place >= options_.share) return;
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(
      std::chrono::system_clock::now().time_since_epoch());
  const ApiUsage usage = outcome.answer.Usage();
  Json line = {{"time", Rfc3339(now.count())},
               {"id", request.id},
               {"key", request.key.empty() ? Json() : Json(request.key)},
               {"endpoint", request.endpoint},
               {"model", request.model.empty() ? Json() : Json(request.model)},
               {"stream", request.stream},
               {"status", outcome.status},
               {"error", outcome.error.empty() ? Json() : Json(ErrorText(outcome.error))},
               {"prompt_tokens", usage.prompt_tokens},
               {"cached_tokens", usage.reused_tokens},
               {"completion_tokens", usage.completion_tokens},
               {"first_token_seconds", outcome.first_token_seconds},
               {"seconds", request.seconds}};
  line["finish_reasons"] = Json::array();
  for (const ApiChoice& choice : outcome.answer.choices)
    line["finish_reasons"].push_back(std::string(NameOf(choice.finish)));
  if (options_.text) {
    line["prompt"] = Beginning(request.prompt);
    line["answers"] = Json::array();
    for (const ApiChoice& choice : outcome.answer.choices) {
      if (!choice.scored) line["answers"].push_back(Beginning(choice.said.content));
    }
    if (!outcome.text.empty()) line["text"] = Beginning(outcome.text);
  }
  const std::string bytes = DumpJson(line) + "\n";
  const std::lock_guard lock(mutex_);
  [[maybe_unused]] const ssize_t written = ::write(file_, bytes.data(), bytes.size());
}

}  // namespace retort
