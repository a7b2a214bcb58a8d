// SPDX-License-Identifier: Apache-2.0
// retort_judge_ids MODEL < TEXTS: reads one JSON string per line and prints its ids (without BOS)
// as a JSON list.
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "tokenizer/load_tokenizer.h"

int main(int argc, char** argv) {
  using namespace retort;
  try {
    if (argc != 2) throw InputError("usage: retort_judge_ids MODEL < TEXTS");
    const auto tokenizer = LoadTokenizer(Path(argv[1]));
    for (std::string line; std::getline(std::cin, line);) {
      std::cout << Json(tokenizer->Encode(ParseJson(line, "text").get<std::string>())).dump()
                << "\n";
    }
    return 0;
  } catch (const std::exception& e) {
    std::cerr << e.what() << "\n";
    return 1;
  }
}
