// SPDX-License-Identifier: Apache-2.0
// A line of JSON for each request.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>

#include "base/file.h"
#include "runner/api/answer.h"
#include "runner/service/reply.h"

namespace retort {

struct RequestLogOptions {
  Path file;          // lines are appended; "": there is no log
  double share = 1;   // of the requests that were answered as asked; all others are logged
  bool text = false;  // prompts and answers too, redacted
};

struct LoggedRequest {
  std::string id, key, endpoint;  // key: its name
  std::string model;              // the one that answers; "": it was refused before
  bool stream = false;
  double seconds = 0;
  uint64_t draw = 0;   // the server's random number, by which it is among the logged share
  std::string prompt;  // if texts are logged
};

// Thread-safe.
class RequestLog {
 public:
  // Throws Error{kFailure} if the file cannot be opened.
  explicit RequestLog(const RequestLogOptions& options);
  ~RequestLog();
  RequestLog(const RequestLog&) = delete;
  RequestLog& operator=(const RequestLog&) = delete;

  bool on() const { return file_ >= 0; }
  bool has_text() const { return on() && options_.text; }
  // Of a prompt and of each answer the first 64 KiB are written, and of an error 100 bytes. A line
  // that cannot be written is lost; serving goes on.
  void Write(const LoggedRequest& request, const ReplyOutcome& outcome);

 private:
  const RequestLogOptions options_;
  int file_ = -1;
  std::mutex mutex_;
};

// The text with what may say who somebody is replaced by "[redacted]": addresses with an "@",
// numbers of 7 digits or more (blanks, dots, dashes and brackets between them), and words of 20
// characters or more that have letters and digits, as keys do.
std::string Redacted(std::string_view text);

}  // namespace retort
