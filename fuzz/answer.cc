// SPDX-License-Identifier: Apache-2.0
// What a model says: a byte for the format, and the text. However it is cut into pieces, it must be
// read as the same, and nothing of it that is no call may be lost.
#include "base/error.h"
#include "fuzz/support.h"
#include "runner/answer/answer_parser.h"
#include "template/calls/call_table.h"

namespace retort {
namespace {

const std::vector<AnswerFormat>& Formats() {
  static const auto* formats = [] {
    auto* out = new std::vector<AnswerFormat>(1);
    for (const char* named : {"<function=<parameter=", "<tool_call>",
                              "<function=", "<|tool_call|>functools", "<TOOLCALL>", "[TOOL_CALLS]"})
      out->emplace_back().calls = FormatsNamedIn(named);
    out->emplace_back().calls.emplace_back();  // without marks
    return out;
  }();
  return *formats;
}

using Parts = std::vector<AnswerPart>;

Parts Read(const AnswerFormat& format, std::string_view text, bool whole, size_t piece) {
  AnswerParser::Options options;
  options.calls = true;
  options.whole_calls = whole;
  AnswerParser parser(format, {{"f", {{"a", {"string"}}, {"b", {"integer"}}}}}, options);
  Parts parts;
  for (size_t at = 0; at < text.size(); at += piece) parser.Push(text.substr(at, piece), parts);
  parser.Finish(parts);
  return parts;
}

}  // namespace
}  // namespace retort

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace retort;
  if (size == 0) return 0;
  const AnswerFormat& format = Formats()[data[0] % Formats().size()];
  const std::string_view text = TextOf(data + 1, size - 1);
  for (const bool whole : {true, false}) {
    const Parts parts = Read(format, text, whole, size);
    for (const size_t piece : {1, 7})
      RETORT_CHECK(Read(format, text, whole, piece) == parts, "cut into pieces of ", piece);
  }
  return 0;
}
