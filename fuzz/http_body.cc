// SPDX-License-Identifier: Apache-2.0
// The body of a request: its first byte tells the API.
#include "fuzz/support.h"
#include "runner/api/anthropic/anthropic.h"
#include "runner/api/ollama/ollama.h"
#include "runner/api/openai/embeddings.h"
#include "runner/api/openai/request.h"
#include "runner/api/openai/responses.h"
#include "runner/program/program.h"
#include "runner/server/request_log.h"

namespace retort {
namespace {

constexpr uint64_t kSeed = 7;
constexpr int64_t kContext = 2048;

void Read(char api, const std::string& body) {
  switch (api) {
    case 'c':
      ReadApiRequest(ApiKind::kChat, body, kSeed);
      return;
    case 'a':
      ReadAnthropicRequest(body, kSeed, false);
      return;
    case 'n':
      ReadAnthropicRequest(body, kSeed, true);
      return;
    case 'l':
      Redacted(body);
      return;
    case 'o':
      ReadOllamaRequest(OllamaKind::kChat, body, kSeed);
      return;
    case 'g':
      ReadOllamaRequest(OllamaKind::kGenerate, body, kSeed);
      return;
    case 'r':
      ReadResponsesRequest(body, kSeed);
      return;
    case 'p':
      ReadProgram(body, kSeed, kContext);
      return;
    case 'e':
      ReadEmbeddingsRequest(body);
      return;
    default:
      ReadApiRequest(ApiKind::kCompletion, body, kSeed);
  }
}

void Use(char api, std::string_view body) {
  try {
    Read(api, std::string(body));
  } catch (const ApiError&) {
    // refused
  }
}

}  // namespace
}  // namespace retort

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace retort;
  if (size == 0) return 0;
  Accepted([&] { Use(static_cast<char>(data[0]), TextOf(data + 1, size - 1)); });
  return 0;
}
