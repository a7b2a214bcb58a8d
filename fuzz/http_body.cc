// SPDX-License-Identifier: Apache-2.0
// The body of a request: its first byte tells the kind.
#include "fuzz/support.h"
#include "runner/openai_request.h"

namespace retort {
namespace {

void Use(ApiKind kind, std::string_view body) {
  try {
    ReadApiRequest(kind, std::string(body), 7);
  } catch (const ApiError&) {
    // refused
  }
}

}  // namespace
}  // namespace retort

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace retort;
  if (size == 0) return 0;
  const ApiKind kind = data[0] == 'c' ? ApiKind::kChat : ApiKind::kCompletion;
  Accepted([&] { Use(kind, TextOf(data + 1, size - 1)); });
  return 0;
}
