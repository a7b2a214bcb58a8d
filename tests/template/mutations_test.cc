// SPDX-License-Identifier: Apache-2.0
// tests/judges/mutations_main.cc does the same many more times, on the texts of published models.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "template/chat_template.h"
#include "template/jinja/json_values.h"
#include "template/jinja/program.h"
#include "tests/template/mutate.h"

namespace retort {
namespace {

TEST(MutatedTemplates, AreRenderedOrRefused) {
  const Path path = Path(RETORT_SOURCE_DIR) / "tests/template/jinja_cases.jsonl";
  std::vector<std::string> texts;
  for (const std::string& line : Split(ReadText(path), '\n')) {
    if (!line.empty()) texts.push_back(ParseJson(line, path.string())["template"]);
  }
  for (const std::string& name : ChatTemplate::Names())
    texts.push_back(ChatTemplate::Named(name).Jinja());
  const Json messages = ParseJson(
      R"([{"role": "user", "content": "u"}, {"role": "assistant", "content": "a"}])", "t");
  const jinja::Variables variables = {
      {"messages", jinja::FromJson(messages, jinja::kInput, true, "t")}};
  std::mt19937_64 random(1);
  int rendered = 0;
  for (int i = 0; i < 3000; ++i) {
    const std::string text = Mutated(texts, random);
    try {
      jinja::Program::Compile(text, "m").Render(variables, 100, "t");
      ++rendered;
    } catch (const Error& e) {
      ASSERT_EQ(e.kind(), Error::Kind::kInput) << e.what() << "\n" << text;
    }
  }
  EXPECT_GT(rendered, 100);
}

}  // namespace
}  // namespace retort
