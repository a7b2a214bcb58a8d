// SPDX-License-Identifier: Apache-2.0
// Schemas that are made to break the compiler, or to cost much. (What takes long shows as a test
// that does not end.)
#include "base/strings.h"
#include "tests/grammar/grammar_texts.h"

namespace retort {
namespace {

void ExpectRefused(const std::string& schema, const char* what) {
  const std::string refusal = Refusal(kSchema, schema);
  EXPECT_NE(refusal.find(what), std::string::npos) << refusal;
}

TEST(SchemaAbuse, ATextCannotHoldTheCompilersLinks) {
  ExpectRefused(R"({"\u0001schema": 0})", "U+0001");
  ExpectRefused(R"({"items": {"const": [{"\u0001schema": 7}]}})", "#/items/const/0: ");
  ExpectRefused(R"({"$ref": "#/enum/0", "enum": [{"\u0001schema": 0}]})", "U+0001");
}

// Definitions that refer to the next one each, within `before` and `behind`; the last is null.
std::string Chain(int length, const char* before, const char* behind) {
  std::string schema = R"({"$ref": "#/$defs/d0", "$defs": {)";
  for (int i = 0; i < length; ++i)
    schema += Cat("\"d", i, "\": ", before, "{\"$ref\": \"#/$defs/d", i + 1, "\"}", behind, ", ");
  return Cat(schema, "\"d", length, R"(": {"type": "null"}}})");
}

TEST(SchemaAbuse, ChainsOfDefinitions) {
  const char* array = R"({"type": "array", "minItems": 1, "items": )";
  ExpectTexts(*Compiled(kSchema, Chain(300, array, "}")),
              {std::string(300, '[') + "null" + std::string(300, ']')}, {"[]"});
  ExpectRefused(Chain(20'000, array, "}"), "nests more than 500 schemas deep");
  ExpectRefused(Chain(20'000, R"({"type": "object", "properties": {"a": )", "}}"),
                "nests more than 500 schemas deep");
}

// Not each value keeps the text of its place.
TEST(SchemaAbuse, LongKeysAndNamesAboveManyValues) {
  std::string many = "0";
  for (int i = 0; i < 200'000; ++i) many += ",0";
  const std::string key(1'000'000, 'k');
  EXPECT_TRUE(
      Compiled(kSchema, Cat(R"({"type": "null", ")", key, "\": [", many, "]}"))->Matches("null"));
  ExpectRefused(Cat(R"({"$id": ")", key, R"(", "x": [)", many, "]}"), "more than 1000 bytes");
  ExpectRefused(Cat(R"({"$id": "a/", "x": [{"$anchor": ")", key, R"("}]})"), "#/x/0: its name");
}

TEST(SchemaAbuse, NamesWithinNamesAreKept) {
  ExpectTexts(*Compiled(kSchema, R"({"$id": "http://x.org/s", "$ref": "b/c#n", "$defs":
                  {"b": {"$id": "b/", "$defs": {"c": {"$id": "c", "items": {"$anchor": "n",
                  "enum": [null]}}}}}})"),
              {"null"}, {"1"});
}

}  // namespace
}  // namespace retort
