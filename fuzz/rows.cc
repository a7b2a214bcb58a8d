// SPDX-License-Identifier: Apache-2.0
// A JSONL file of rows, read, encoded and shown.
#include "data/rows.h"

#include "data/examples.h"
#include "fuzz/support.h"
#include "fuzz/tokenizers.h"

namespace retort {
namespace {

constexpr int64_t kMostRows = 32;

void Use(const Path& path) {
  const ChatTemplate chat = ChatTemplate::Named("chatml");
  ExampleOptions options;
  options.over_length = OverLength::kSplit;
  options.max_tokens = 64;
  const Rows rows = Rows::Open(std::vector<RowSource>{{path, 1}}).First(kMostRows);
  for (int64_t i = 0; i < rows.size(); ++i) {
    Accepted([&] {
      const Row row = rows.Read(i);
      ShowExample(EncodeRow(row, SmallTokenizer(), &chat, options), SmallTokenizer());
      EncodeRowPrompt(row, SmallTokenizer(), &chat);
    });
  }
  MakeExamples(rows, SmallTokenizer(), &chat, options);
}

}  // namespace
}  // namespace retort

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace retort;
  static const FuzzFolder folder;
  const Path path = folder.Put("rows.jsonl", TextOf(data, size));
  Accepted([&] { Use(path); });
  return 0;
}
