// SPDX-License-Identifier: Apache-2.0
// Schemas that are made to break the compiler, or to cost much. (What takes long shows as a test
// that does not end.)
#include "base/strings.h"
#include "base/text.h"
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

// `part` with its number in place of each '%', so many times.
std::string Many(int count, const std::string& part) {
  std::string all;
  for (int i = 0; i < count; ++i)
    all += Cat(i ? ", " : "", ReplaceAll(part, "%", std::to_string(i)));
  return all;
}

TEST(SchemaAbuse, ObjectsOfManyMembers) {
  const std::string schema =
      Cat(R"({"type": "object", "additionalProperties": false, "properties": {)",
          Many(20'000, R"("a%": {"$ref": "#/$defs/b%"})"), R"(}, "$defs": {)",
          Many(20'000, R"("b%": {"const": 1})"), "}}");
  EXPECT_EQ(Refusal(kSchema, schema), "");
}

TEST(SchemaAbuse, ManyGoalsWithAllTheSameMembers) {
  const std::string members = Many(5'000, R"("a%": false)");
  ExpectRefused(Cat(R"({"propertyNames": false, "properties": {)", members, R"(}, "anyOf": [)",
                    Many(5'000, R"({"minProperties": 0, "title": "%"})"), "]}"),
                "steps of work");
}

// Each of 400 schemas that hold together asks of every member which of the others knows it.
TEST(SchemaAbuse, ManySchemasThatAskWhatIsEvaluated) {
  const char* asks =
      R"({"properties": {"a": true}, "unevaluatedProperties": {"type": "null"}, "allOf": [)";
  ExpectRefused(Chain(400, asks, "]}"), "steps of work");
}

TEST(SchemaAbuse, ManySetsOfUniqueItems) {
  const std::string items = Cat(R"("items": {"enum": [)", Many(30, "%"), "]}");
  ExpectRefused(Cat(R"({"type": "array", "uniqueItems": true, )", items, "}"),
                "leaves more than 4096 sets");
  const std::string twelve = Cat(R"("items": {"enum": [)", Many(12, "%"), "]}");
  const std::string unique =
      Many(400, Cat(R"("a%": {"type": "array", "title": "%", "uniqueItems": true, )",
                    ReplaceAll(twelve, "%", ""), "}"));
  ExpectRefused(Cat(R"({"properties": {)", unique, "}}"), "steps of work");
}

// Each text stands in thousands of sets.
TEST(SchemaAbuse, UniqueItemsThatAreLong) {
  const std::string long_text(5'000, 'k');
  const std::string items = Many(12, Cat("\"%", long_text, "\""));
  const auto grammar = Compiled(
      kSchema, Cat(R"({"type": "array", "uniqueItems": true, "items": {"enum": [)", items, "]}}"));
  const std::string one = Cat("\"1", long_text, "\"");
  ExpectTexts(*grammar, {Cat("[", one, ",\"2", long_text, "\"]")}, {Cat("[", one, ",", one, "]")});
}

// Each element is compared with all others.
TEST(SchemaAbuse, LongListsWhoseElementsMustDiffer) {
  const std::string many = Many(90'000, "%");
  const std::string unique = R"(, "uniqueItems": true})";
  EXPECT_TRUE(Compiled(kSchema, Cat(R"({"const": [)", many, "]", unique))
                  ->Matches(Cat("[", ReplaceAll(many, " ", ""), "]")));
  ExpectRefused(Cat(R"({"const": [)", many, ", 7]", unique), "allows no text");
  ExpectRefused(Cat(R"({"const": [)", Many(190'000, "%"), "]", unique), "steps of work");
}

TEST(SchemaAbuse, ManyGoalsWithLongChainsOrLists) {
  const std::string branches = Many(5'000, R"({"$ref": "#/$defs/d0", "title": "%"})");
  std::string chain = Many(200, R"("c%": {"$ref": "#/$defs/c+%"})");
  for (int i = 0; i < 200; ++i) chain = ReplaceAll(chain, Cat("+", i, "\""), Cat(i + 1, "\""));
  ExpectRefused(Cat(R"({"anyOf": [)", branches, R"(], "$defs": {"d0": {"$ref": "#/$defs/c0"}, )",
                    chain, R"(, "c200": true}})"),
                "steps of work");
  ExpectRefused(Cat(R"({"not": {"enum": [)", Many(5'000, "\"%\""), R"(]}, "anyOf": [)",
                    Many(5'000, R"({"title": "%"})"), "]}"),
                "steps of work");
  ExpectRefused(Cat(R"({"$defs": {"n": {"type": "array", "not": {"enum": [)", Many(5'000, "%"),
                    R"(]}}}, "type": "object", "properties": {)",
                    Many(5'000, R"("a%": {"$ref": "#/$defs/n"})"), "}}"),
                "steps of work");
}

// Each pair of branches is searched for a value of both.
TEST(SchemaAbuse, ManyBranchesAboveALargeObject) {
  const std::string members = Many(1'000, R"("a%": {"$ref": "#/$defs/text"})");
  ExpectRefused(Cat(R"({"$defs": {"text": {"type": "string"}, "large": {"type": "object",
                        "properties": {)",
                    members, R"(}}}, "type": "array", "items": {"$ref": "#/$defs/large"},
                        "oneOf": [)",
                    Many(150, R"({"minItems": %})"), "]}"),
                "steps of work");
}

}  // namespace
}  // namespace retort
