// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "template/jinja/call.h"
#include "template/jinja/json_values.h"
#include "template/jinja/program.h"
#include "tests/data/support.h"

namespace retort::jinja {
namespace {

Text Rendered(const std::string& source, const Variables& variables = {}) {
  return Program::Compile(source, "m").Render(variables, 1000, "m");
}
std::string Fault(const std::string& source, const Variables& variables = {}) {
  return InputFault([&] { Rendered(source, variables); });
}

Variables TestVariables() {
  const Path path = Path(RETORT_SOURCE_DIR) / "tests/template/jinja_variables.json";
  Variables out = {{"strftime_now", FixedClock("2024-07-26")}};
  const Json json = ReadJson(path);
  for (const auto& [name, value] : json.items())
    out.emplace_back(name, FromJson(value, kInput, true, "test"));
  return out;
}

// Each line of jinja_cases.jsonl was rendered by Jinja 3.1.6, set up as transformers sets it up. No
// text: it refused.
TEST(Jinja, RendersWhatJinjaRenders) {
  const Path path = Path(RETORT_SOURCE_DIR) / "tests/template/jinja_cases.jsonl";
  const Variables variables = TestVariables();
  int seen = 0;
  for (const std::string& line : Split(ReadText(path), '\n')) {
    if (line.empty()) continue;
    const Json row = ParseJson(line, path.string());
    const std::string source = row["template"];
    ++seen;
    if (row["text"].is_null())
      EXPECT_NE(Fault(source, variables), "") << source;
    else
      EXPECT_EQ(Rendered(source, variables).bytes(), row["text"].get<std::string>()) << source;
  }
  EXPECT_EQ(seen, 434);
}

TEST(Jinja, FaultsNameTheLine) {
  EXPECT_EQ(Fault("a\n{{ x.y }}"), "m: chat template, line 2: 'x' is undefined");
  EXPECT_EQ(Fault("{{ x | uper }}"),
            "m: chat template, line 1: filter 'uper' is not known; did you mean 'upper'?");
  EXPECT_EQ(Fault("\n\n{% if x is strin %}{% endif %}"),
            "m: chat template, line 3: test 'strin' is not known; did you mean 'string'?");
  EXPECT_EQ(
      Fault("{% include 'a' %}"),
      "m: chat template, line 1: 'include' needs other templates, which a model does not have");
  EXPECT_EQ(Fault("{% foo %}"), "m: chat template, line 1: the tag 'foo' is not known here");
  EXPECT_EQ(Fault("{% for x in y %}"),
            "m: chat template, line 1: the template ends where 'endfor' is missing");
  EXPECT_EQ(Fault("{{ 9223372036854775807 + 1 }}"),
            "m: chat template, line 1: a number is beyond 64 bits");
  EXPECT_EQ(Fault("{{ raise_exception('No!') }}"),
            "m: chat template, line 1: it refuses the conversation: No!");
}

std::string Shown(const Text& text) {
  std::string out;
  size_t begin = 0;
  for (const Text::Run& run : text.Runs()) {
    out += Cat(run.origin, "<", text.view().substr(begin, run.end - begin), ">");
    begin = run.end;
  }
  return out;
}

// Whatever is done to a user's text, it is known as such.
TEST(Jinja, TextsKnowWhereTheyCameFrom) {
  const Variables v = {{"c", Value::Of(" ab\"É ", kInput)}, {"d", Value::Of("x-y", kInput)}};
  const auto shown = [&](const std::string& source) { return Shown(Rendered(source, v)); };
  EXPECT_EQ(shown("<s>{{ c }}</s>"), "0<<s>>1< ab\"É >0<</s>>");
  EXPECT_EQ(shown("{{ ('[' + c + ']') | trim | upper }}"), "0<[>1< AB\"É >0<]>");
  EXPECT_EQ(shown("{{ (c | trim)[1:3] ~ 'z' }}"), "1<b\">0<z>");
  EXPECT_EQ(shown("{{ c.strip() | tojson }}"), "0<\">1<ab\\\"É>0<\">");
  EXPECT_EQ(shown("{{ d.split('-') | join('+') }}"), "1<x>0<+>1<y>");
  EXPECT_EQ(shown("{{ d | replace('-', '=') }}"), "1<x>0<=>1<y>");
  EXPECT_EQ(shown("{{ 'a-b' | replace('-', d) }}"), "0<a>1<x-y>0<b>");
  EXPECT_EQ(shown("{{ [d] }}{{ {'k': d} }}"), "0<['>1<x-y>0<']{'k': '>1<x-y>0<'}>");
  EXPECT_EQ(shown("{{ '%s!' | format(d) }}{{ '{}?'.format(d) }}"), "1<x-y>0<!>1<x-y>0<?>");
  EXPECT_EQ(shown("{% set q %}({{ d }}){% endset %}{{ q }}"), "0<(>1<x-y>0<)>");
  EXPECT_EQ(shown("{% macro m(a) %}{{ a * 2 }}.{% endmacro %}{{ m(d) }}"), "1<x-yx-y>0<.>");
  EXPECT_EQ(shown("{{ d[::-1] }}{{ d | list | first }}{{ d | indent('>', true) }}"),
            "1<y-xx>0<>>1<x-y>");
  EXPECT_EQ(shown("a{% generation %}{{ d }}!{% endgeneration %}b"), "0<a>3<x-y>2<!>0<b>");
}

// Each of these would take hours or all memory.
TEST(Jinja, WorkAndMemoryAreBounded) {
  const std::string loops =
      "{% for a in range(99999) %}{% for b in range(99999) %}{{ '' }}{% endfor %}{% endfor %}";
  std::string deep(2000, '(');
  const std::vector<std::string> hostile = {
      loops,
      "{{ 'a' * 10**9 }}",
      "{{ [0] * 10**9 }}",
      "{{ 'a'.center(10**12) }}",
      "{{ '%1000000000d' % 1 }}",
      "{{ '{:>2000000000}'.format(1) }}",
      "{{ 'x' | indent(10**10, true) }}",
      "{{ range(10**12) }}",
      "{{ [1] | tojson(indent=10**12) }}",
      "{{ 10**10**10 }}",
      "{% set n = namespace(x='aaaaaaaa') %}{% for i in range(99) %}{% set n.x = n.x + n.x %}{% endfor %}",
      "{% set n = namespace(x='ab') %}{% for i in range(99) %}{% set n.x = n.x | replace('a', n.x) %}"
      "{% endfor %}",
      "{% set n = namespace(x=[1]) %}{% for i in range(9999) %}{% set n.x = [n.x] %}{% endfor %}",
      "{% set n = namespace(x=[1]) %}{% for i in range(99) %}{% set n.x = [n.x, n.x] %}{% endfor %}"
      "{{ n.x }}",
      "{% set n = namespace(x=[1]) %}{% for i in range(99) %}{% set n.x = [n.x, n.x] %}{% endfor %}"
      "{% set k = namespace(x=[1]) %}{% for i in range(99) %}{% set k.x = [k.x, k.x] %}{% endfor %}"
      "{{ n.x == k.x }}",
      "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
      "{% set n = namespace() %}{% set n.self = n %}{{ n }}",
      "{% for x in [[]] recursive %}{{ loop([[]]) }}{% endfor %}",
      "{{ " + deep,
      "{{ x" + ReplaceAll(deep, "(", ".a") + " }}",
      "{{ 1" + ReplaceAll(deep, "(", "+1") + " }}",
      "{{ " + ReplaceAll(deep, "(", "not ") + "1 }}",
      ReplaceAll(deep, "(", "{% if 1 %}")};
  for (const std::string& source : hostile) {
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_NE(Fault(source), "") << source;
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
    EXPECT_LT(taken.count(), 5) << source;  // a tenth of a second, on an idle machine
  }
  EXPECT_EQ(Fault(loops),
            "m: chat template, line 1: takes more than 1064000 steps for an input of this size; it "
            "is stopped");
  EXPECT_EQ(Fault("{{ 'a' * 10**9 }}"),
            "m: chat template, line 1: makes more than 24.2 MiB of text and lists for an input of "
            "this size; it is stopped");
}

TEST(Jinja, KeysThatAreLookedAtAreKnown) {
  const Json json = ParseJson(R"({"a": 1, "b": {"c": 2}, "d": 3})", "t");
  const auto seen = [&](const std::string& source) {
    const Value value = FromJson(json, kInput, true, "t");
    Rendered(source, {{"m", value}});
    std::string out;
    for (size_t i = 0; i < 3; ++i) out += value.dict().Seen(i) ? '1' : '0';
    return out;
  };
  EXPECT_EQ(seen("{{ 1 }}"), "000");
  EXPECT_EQ(seen("{{ m.a }}"), "100");
  EXPECT_EQ(seen("{{ m['b']['c'] }}{{ m.zz }}"), "010");
  EXPECT_EQ(seen("{{ 'd' in m }}"), "001");
  EXPECT_EQ(seen("{{ m.get('d') }}"), "001");
  EXPECT_EQ(seen("{{ m | tojson }}"), "111");
  EXPECT_EQ(seen("{% for k, v in m.items() %}{% endfor %}"), "111");
}

}  // namespace
}  // namespace retort::jinja
