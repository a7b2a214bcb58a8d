// SPDX-License-Identifier: Apache-2.0
#include "train/samples.h"

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/strings.h"

namespace retort {

namespace {

std::string LineText(const SampleLine& line) {
  const Sample& s = line.sample;
  return DumpJson({{"step", line.step},
                   {"row", s.where},
                   {"prompt", s.prompt},
                   {"wanted", s.wanted},
                   {"answer", s.answer}}) +
         "\n";
}

}  // namespace

std::vector<SampleLine> ReadSamples(const Path& file) {
  std::vector<SampleLine> out;
  if (!std::filesystem::exists(file)) return out;
  const std::string where = file.string();
  for (const std::string& line : Split(ReadText(file), '\n')) {
    if (line.empty()) continue;
    const Json json = ParseJson(line, where);
    out.push_back({GetInt(json, "step", where),
                   {GetString(json, "row", where), GetString(json, "prompt", where),
                    GetString(json, "wanted", where), GetString(json, "answer", where)}});
  }
  return out;
}

void AppendSamples(const Path& file, int64_t step, const std::vector<Sample>& samples) {
  std::string text;
  for (const SampleLine& line : ReadSamples(file)) {
    if (line.step < step) text += LineText(line);
  }
  for (const Sample& sample : samples) text += LineText({step, sample});
  WriteTextAtomically(file, text);
}

}  // namespace retort
