// SPDX-License-Identifier: Apache-2.0
// retort_judge_ids [--special | --decode | --export FILE] MODEL < LINES
//   reads one JSON string per line and prints its ids (without BOS) as a JSON list
//   --special  special tokens' texts are those tokens
//   --decode   reads lists of ids and prints their texts as JSON strings, without special tokens
//   --export   reads nothing and writes a GGUF with the tokenizer alone; prints the notes
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "formats/gguf.h"
#include "tokenizer/load_tokenizer.h"

namespace {

using namespace retort;

void Export(const Tokenizer& tokenizer, const std::string& file) {
  GgufMetadata m(file);
  m.Set("general.architecture", std::string("llama"));
  m.Set("general.name", std::string("model"));
  for (const std::string& note : SpecToGguf(tokenizer.spec(), tokenizer.vocab_size(), "model", m))
    std::cout << note << "\n";
  GgufWriter(Path(file), std::move(m)).Commit();
}

void Answer(const Tokenizer& tokenizer, const std::string& mode, const Json& line) {
  if (mode == "--decode") {
    std::cout << DumpJson(tokenizer.Decode(line.get<std::vector<int32_t>>()));
  } else {
    std::cout
        << Json(tokenizer.Encode({{line.get<std::string>(), mode == "--special"}}, false)).dump();
  }
  std::cout << "\n";
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::string mode = argc > 2 ? argv[1] : "";
    const bool exports = mode == "--export" && argc == 4;
    const bool reads = argc == 2 || (argc == 3 && (mode == "--special" || mode == "--decode"));
    if (!exports && !reads)
      throw InputError(
          "usage: retort_judge_ids [--special | --decode | --export FILE] MODEL < LINES");
    const auto tokenizer = LoadTokenizer(Path(argv[argc - 1]));
    if (exports) Export(*tokenizer, argv[2]);
    for (std::string line; !exports && std::getline(std::cin, line);)
      Answer(*tokenizer, mode, ParseJson(line, "line"));
    return 0;
  } catch (const std::exception& e) {
    std::cerr << e.what() << "\n";
    return 1;
  }
}
