// SPDX-License-Identifier: Apache-2.0
// retort_fuzz_replay TARGET PATH...: gives files, and all files of folders, to a target in a build
// without a fuzzer. Each target is compiled with LLVMFuzzerTestOneInput renamed.
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <set>

#include "base/error.h"
#include "base/file.h"

#define RETORT_FUZZ_TARGETS(USE) \
  USE(gguf)                      \
  USE(safetensors)               \
  USE(tokenizer_json)            \
  USE(tekken)                    \
  USE(sentencepiece)             \
  USE(config)                    \
  USE(adapter_config)            \
  USE(recipe)                    \
  USE(rows)                      \
  USE(teacher_manifest)          \
  USE(teacher_shard)             \
  USE(hdf5_rows)                 \
  USE(chat_template)             \
  USE(grammar)                   \
  USE(http_request)              \
  USE(http_body)                 \
  USE(answer)

#define RETORT_DECLARE(name) extern "C" int RetortFuzz_##name(const uint8_t* data, size_t size);
RETORT_FUZZ_TARGETS(RETORT_DECLARE)

namespace {

struct Target {
  const char* name;
  int (*run)(const uint8_t* data, size_t size);
};
#define RETORT_LIST(name) {#name, RetortFuzz_##name},
constexpr Target kTargets[] = {RETORT_FUZZ_TARGETS(RETORT_LIST)};

const Target& Named(const char* name) {
  for (const Target& target : kTargets) {
    if (std::strcmp(target.name, name) == 0) return target;
  }
  throw retort::InputError("no target '", name, "'");
}

// In the order of their names, so that a failure can be repeated.
std::set<retort::Path> FilesOf(const retort::Path& path) {
  std::set<retort::Path> files;
  if (!std::filesystem::exists(path)) return files;
  if (!std::filesystem::is_directory(path)) return {path};
  for (const auto& entry : std::filesystem::directory_iterator(path)) files.insert(entry.path());
  return files;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: retort_fuzz_replay TARGET PATH...\n");
    return 2;
  }
  int count = 0;
  try {
    const Target& target = Named(argv[1]);
    for (int i = 2; i < argc; ++i) {
      for (const retort::Path& file : FilesOf(argv[i])) {
        std::fprintf(stderr, "%s\n", file.c_str());  // of a crash, the last line
        // An exact copy on the heap, so that a sanitizer sees a read past its end.
        const std::string text = retort::ReadText(file);
        const std::vector<uint8_t> bytes(text.begin(), text.end());
        target.run(bytes.data(), bytes.size());
        ++count;
      }
    }
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
  std::printf("%s: %d inputs\n", argv[1], count);
  return count == 0;
}
