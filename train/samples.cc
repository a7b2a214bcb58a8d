// SPDX-License-Identifier: Apache-2.0
#include "train/samples.h"

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/strings.h"

namespace retort {

void AppendSamples(const Path& file, int64_t step, const std::vector<Sample>& samples) {
  std::string text;
  if (std::filesystem::exists(file)) {
    for (const std::string& line : Split(ReadText(file), '\n')) {
      if (line.empty()) continue;
      if (GetInt(ParseJson(line, file.string()), "step", file.string()) < step) text += line + "\n";
    }
  }
  for (const Sample& s : samples) {
    text += DumpJson({{"step", step},
                      {"row", s.where},
                      {"prompt", s.prompt},
                      {"wanted", s.wanted},
                      {"answer", s.answer}}) +
            "\n";
  }
  WriteTextAtomically(file, text);
}

}  // namespace retort
