// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "tests/grammar/grammar_texts.h"

namespace retort {
namespace {

struct Case {
  const char* schema;
  std::vector<std::string> allowed, refused;
};

void Expect(const std::vector<Case>& cases) {
  for (const auto& [schema, allowed, refused] : cases) {
    SCOPED_TRACE(schema);
    ExpectTexts(*Compiled(kSchema, schema), allowed, refused);
  }
}

void ExpectRefusals(const std::vector<std::pair<const char*, const char*>>& cases) {
  for (const auto& [schema, what] : cases) {
    const std::string refusal = Refusal(kSchema, schema);
    EXPECT_NE(refusal.find(what), std::string::npos) << schema << "\n" << refusal;
  }
}

TEST(Schema, TypesAndValues) {
  Expect({{"true", {"1", "\"x\"", "[{\"a\":null}]"}, {"", "x"}},
          {R"({"type": "integer"})", {"0", "-7", "123"}, {"1.5", "01", "+1", "\"1\""}},
          {R"({"type": ["null", "boolean"]})", {"null", "true"}, {"0"}},
          {R"({"const": {"a": [1, "x"]}})", {R"({"a":[1,"x"]})"}, {R"({"a":[1]})"}},
          {R"({"enum": ["a\n", 3, null, [1]], "type": ["string", "array"]})",
           {"\"a\\n\"", "[1]"},
           {"3", "null"}},
          {R"({"enum": ["abc", "b"], "minLength": 2})", {"\"abc\""}, {"\"b\""}},
          {R"({"not": {"type": ["string", "number"]}})", {"null", "[]"}, {"\"x\"", "1", "1.5"}}});
}

TEST(Schema, Numbers) {
  Expect(
      {{R"({"type": "integer", "minimum": -3, "maximum": 120})",
        {"-3", "0", "99", "120"},
        {"-4", "121", "1000", "3.5"}},
       {R"({"type": "number", "exclusiveMinimum": 0.25, "maximum": 10.5})",
        {"0.26", "0.250001", "3", "10.5", "10.49"},
        {"0.25", "0.2", "10.51", "11", "-1", "1e0"}},
       {R"({"type": "number", "maximum": -1.5})", {"-1.5", "-2", "-100.25"}, {"-1.49", "0", "1"}},
       {R"({"type": "integer", "multipleOf": 15, "minimum": 1})", {"15", "150"}, {"0", "5", "10"}},
       {R"({"type": "number", "multipleOf": 0.01})", {"1", "1.5", "-1.25"}, {"1.255"}},
       {R"({"type": "number", "not": {"type": "integer"}})", {"1.5", "0.10"}, {"1", "1.0"}},
       {R"({"type": "integer", "not": {"enum": [3, 4]}})", {"34", "2"}, {"3", "4"}}});
}

TEST(Schema, Strings) {
  Expect({{R"({"type": "string", "minLength": 1, "maxLength": 2})",
           {"\"a\"", "\"\u00e9\u20ac\"", "\"\\n\\u0041\"", "\"\\ud83d\\ude00\""},
           {"\"\"", "\"abc\"", "\"\\ud83d\"", "\"\n\""}},
          {R"({"type": "string", "pattern": "^a|b$"})", {"\"ax\"", "\"xb\""}, {"\"xa\"", "\"bx\""}},
          {R"({"type": "string", "pattern": "n"})", {"\"n\"", "\"\\nn\""}, {"\"\\n\"", "\"m\""}},
          {R"({"type": "string", "pattern": "^[a-z]+$", "maxLength": 3})",
           {"\"abc\""},
           {"\"abcd\"", "\"aB\"", "\"\""}},
          {R"({"type": "string", "format": "date"})",
           {"\"2024-02-29\"", "\"1999-12-31\""},
           {"\"2023-02-29\"", "\"2023-04-31\"", "\"x\""}},
          {R"({"type": "string", "format": "ipv4"})", {"\"127.0.0.1\""}, {"\"256.0.0.1\""}},
          {R"({"type": "string", "format": "unheard-of"})", {"\"x\""}, {}}});
}

// Texts, in JSON, that a format takes and that it does not.
struct FormatCase {
  std::string format;
  std::vector<std::string> good, bad;
};

TEST(Schema, Formats) {
  const std::string label(63, 'x');
  for (const auto& [format, good, bad] : std::vector<FormatCase>{
           {"hostname",
            {"my-host.example.com", "a", "a-b-c-d-e.f-g", label + ".com", "a.b.c.d.e.f.g.h"},
            {"-a", "a-", "xn--a", "a..b", "a_b", label + "x", ""}},
           {"email",
            {"first.middle.last@mail-1.example.com", "a+b@c.de"},
            {"@a", "a@", "a@b@c", ".a@b", "a@-b"}},
           {"ipv6",
            {"::", "::1", "1::", "2001:db8::1:2", "1:2:3:4:5:6:7:8", "fe80::1ff:fe23:4567:890a",
             "::ffff:10.0.0.1", "1:2:3:4:5:6::8", "1::3:4:5:6:7:8"},
            {":", "1:2:3:4:5:6:7", "1::2::3", "1:2:3:4:5:6:7:8:9", "12345::", "1:2:3:4:5:6:7::8:9",
             "::256.0.0.1"}},
           {"uri",
            {"https://my-site.example.com:8080/a/b?c=d#e", "file:///etc/hosts", "mailto:a@b.c",
             "urn:a:b", "https://a.b?c", "file:/a"},
            {"//a.b/c", "a", "http:// a", "http://-a/", "http://a b", "http://a:port/", ""}}}) {
    std::vector<std::string> quoted_good, quoted_bad;
    for (const std::string& text : good) quoted_good.push_back(Cat("\"", text, "\""));
    for (const std::string& text : bad) quoted_bad.push_back(Cat("\"", text, "\""));
    SCOPED_TRACE(format);
    const std::string schema = Cat(R"({"type": "string", "format": ")", format, "\"}");
    ExpectTexts(*Compiled(kSchema, schema), quoted_good, quoted_bad);
  }
}

TEST(Schema, Objects) {
  Expect(
      {{R"({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "null"}},
              "required": ["b"], "additionalProperties": false})",
        {R"({"a":1,"b":null})", R"({"b":null})"},
        {R"({"a":1})", "{}", R"({"b":null,"a":1})", R"({"b":null,"c":1})", R"({"b":null,})"}},
       {R"({"type": "object", "properties": {"ab": {"type": "integer"}}})",
        {"{}", R"({"ab":1,"a":"x","abc":null})"},
        {R"({"ab":"x"})", R"({"x":1,"ab":"x"})", R"({"\u0061b":"x"})"}},
       {R"({"type": "object", "patternProperties": {"^n": {"type": "integer"}, "s$": {"minimum": 5}},
              "additionalProperties": {"type": "string"}})",
        {R"({"n":1,"ns":7,"x":"y"})", R"({"xs":"text"})"},
        {R"({"ns":3})", R"({"n":"x"})", R"({"x":1})"}},
       {R"({"type": "object", "minProperties": 1, "maxProperties": 2,
              "properties": {"a": true, "b": true, "c": true}})",
        {R"({"a":1})", R"({"a":1,"c":2})", R"({"x":1,"y":2})"},
        {"{}", R"({"a":1,"b":2,"c":3})", R"({"a":1,"b":2,"x":3})"}},
       {R"({"type": "object", "propertyNames": {"maxLength": 2}})",
        {R"({"ab":1})"},
        {R"({"abc":1})"}},
       {R"({"type": "object", "dependentRequired": {"a": ["b"]}, "properties": {"a": true, "b": true}})",
        {R"({"a":1,"b":2})", R"({"b":2})", "{}"},
        {R"({"a":1})"}},
       {R"({"type": "object", "if": {}, "dependentRequired": {"a": ["b"]}})",
        {R"({"b":2})", "{}"},
        {R"({"a":1})"}}});
}

TEST(Schema, Arrays) {
  Expect(
      {{R"({"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3})",
        {"[1]", "[1,2,3]"},
        {"[]", "[1,2,3,4]", "[\"x\"]", "[1,]"}},
       {R"({"type": "array", "prefixItems": [{"type": "null"}, {"type": "string"}], "items": false})",
        {"[]", "[null]", "[null,\"x\"]"},
        {"[null,\"x\",1]", "[1]"}},
       {R"({"$schema": "http://json-schema.org/draft-07/schema#", "type": "array",
              "items": [{"type": "null"}], "additionalItems": {"type": "integer"}, "minItems": 2})",
        {"[null,1]"},
        {"[null]", "[null,\"x\"]"}},
       {R"({"type": "array", "contains": {"const": 7}})", {"[7]", "[1,7,2]"}, {"[]", "[1]"}}});
}

TEST(Schema, Combinations) {
  Expect(
      {{R"({"allOf": [{"type": "object", "properties": {"a": {"minimum": 2}}},
                         {"properties": {"a": {"type": "integer", "maximum": 4}}, "required": ["a"]}]})",
        {R"({"a":3})"},
        {R"({"a":1})", R"({"a":5})", "{}"}},
       {R"({"anyOf": [{"type": "string", "maxLength": 2}, {"type": "integer"}], "not": {"const": 5}})",
        {"\"ab\"", "4"},
        {"5", "\"abc\""}},
       {R"({"type": "object", "properties": {"k": {"enum": ["a", "b"]}}, "required": ["k"],
              "if": {"properties": {"k": {"const": "a"}}},
              "then": {"properties": {"x": {"type": "integer"}}},
              "else": {"properties": {"x": {"type": "string"}}}})",
        {R"({"k":"a","x":1})", R"({"k":"b","x":"y"})"},
        {R"({"k":"a","x":"y"})"}},
       {R"({"$ref": "#/$defs/tree", "$defs": {"tree": {"type": "object", "required": ["left"],
              "properties": {"left": {"anyOf": [{"$ref": "#/$defs/tree"}, {"type": "null"}]}},
              "additionalProperties": false}}})",
        {R"({"left":{"left":null}})"},
        {R"({"left":{}})"}}});
}

TEST(Schema, ANotOfSeveralKeywordsForbidsWhatAllOfThemSay) {
  Expect({{R"({"type": "string", "enum": ["ab"], "not": {"pattern": "^a", "minLength": 3}})",
           {"\"ab\""},
           {}},
          {R"({"type": "string", "not": {"enum": ["a", "abcde"], "minLength": 5}})",
           {"\"a\"", "\"bcdef\""},
           {"\"abcde\""}},
          {R"({"type": "integer", "not": {"enum": [3, 7], "minimum": 5}})", {"3"}, {"7"}},
          {R"({"not": {"enum": [null, true], "type": "null"}})", {"true"}, {"null"}}});
}

TEST(Schema, OneOfMeansOneAlone) {
  Expect(
      {{R"({"oneOf": [{"type": "integer", "minimum": 5}, {"type": "integer", "maximum": 9}]})",
        {"4", "10"},
        {"5", "7", "9"}},
       {R"({"oneOf": [{"type": "string", "pattern": "^a"}, {"type": "string", "pattern": "z$"}]})",
        {"\"ab\"", "\"bz\""},
        {"\"az\"", "\"b\""}},
       {R"({"oneOf": [{"required": ["a"]}, {"required": ["b"]}], "type": "object",
              "properties": {"a": true, "b": true}})",
        {R"({"a":1})", R"({"b":1})"},
        {R"({"a":1,"b":1})", "{}"}}});
}

TEST(Schema, References) {
  Expect(
      {{R"({"$id": "http://x.org/s", "properties": {"a": {"$ref": "item#/$defs/n"}}, "type": "object",
              "$defs": {"i": {"$id": "item", "$defs": {"n": {"type": "null"}}}}})",
        {R"({"a":null})"},
        {R"({"a":1})"}},
       {R"({"$ref": "#here", "$defs": {"a": {"$anchor": "here", "type": "null"}}})",
        {"null"},
        {"1"}},
       {R"({"properties": {"default": {"$anchor": "here", "type": "null"}}, "type": "object",
              "required": ["default"], "additionalProperties": {"$ref": "#here"}})",
        {R"({"default":null,"a":null})"},
        {R"({"default":null,"a":1})"}},
       {R"({"$ref": "#/$defs/a~1b%25", "$defs": {"a/b%": {"type": "null"}}})", {"null"}, {"1"}}});
}

TEST(Schema, UniqueItems) {
  Expect({{R"({"type": "array", "uniqueItems": true, "items": {"enum": ["a", "b", 1, null]}})",
           {"[]", R"(["b"])", R"([1,"a",null,"b"])"},
           {R"(["a","a"])", R"(["a",1,"a"])", R"(["c"])"}},
          {R"({"type": "array", "uniqueItems": true, "minItems": 2, "maxItems": 3,
               "items": {"type": "integer", "minimum": 1, "maximum": 5}})",
           {"[1,2]", "[5,3,1]"},
           {"[]", "[1]", "[1,1]", "[1,2,3,4]", "[6,1]"}},
          {R"({"type": "array", "uniqueItems": true, "items": {"anyOf": [{"type": "boolean"},
               {"const": "x"}, {"enum": ["x", true]}]}})",
           {R"(["x",true,false])"},
           {R"(["x","x"])", "[true,true]"}},
          {R"({"enum": [[1, 1], [1, 2]], "uniqueItems": true})", {"[1,2]"}, {"[1,1]"}},
          {R"({"enum": [[{"a": 1, "b": 2}, {"b": 2.0, "a": 1}], [1.0, "1"], [[1], [1.0]]],
               "uniqueItems": true})",
           {R"([1.0,"1"])"},
           {R"([{"a":1,"b":2},{"b":2.0,"a":1}])", "[[1],[1.0]]"}},
          {R"({"type": "string", "uniqueItems": true})", {"\"a\""}, {"[]"}}});
}

TEST(Schema, UnevaluatedMembersAndItems) {
  Expect(
      {{R"({"type": "object", "properties": {"a": true}, "unevaluatedProperties": false})",
        {"{}", R"({"a":1})"},
        {R"({"b":1})"}},
       {R"({"type": "object", "properties": {"a": true}, "allOf": [{"properties": {"b": true}},
               {"$ref": "#/$defs/c"}], "unevaluatedProperties": {"type": "null"},
               "$defs": {"c": {"patternProperties": {"^c": true}}}})",
        {R"({"a":1,"b":2,"c1":3,"d":null})"},
        {R"({"d":1})"}},
       {R"({"type": "object", "anyOf": [{"properties": {"a": true}, "required": ["a"]},
               {"properties": {"b": true}, "required": ["b"]}], "unevaluatedProperties": false})",
        {R"({"a":1})", R"({"b":1})"},
        {R"({"a":1,"c":1})", R"({})"}},
       {R"({"type": "object", "not": {"not": {"properties": {"a": true}}},
               "unevaluatedProperties": false})",
        {"{}"},
        {R"({"a":1})"}},
       {R"({"type": "object", "allOf": [{"unevaluatedProperties": true}],
               "unevaluatedProperties": false})",
        {R"({"a":1})"},
        {}},
       {R"({"type": "object", "properties": {"a": true}, "allOf": [{"unevaluatedProperties": false}]})",
        {"{}"},
        {R"({"a":1})"}},
       // Names of members are no keywords, and a reference may point into data.
       {R"({"properties": {"default": {"$ref": "#/$defs/enum/default"}}, "type": "object",
               "required": ["default"], "$defs": {"enum": {"default": {"type": "object",
               "properties": {"a": true}, "dependentSchemas": {"a": {"properties": {"b": true}}},
               "unevaluatedProperties": false}}}})",
        {R"({"default":{"a":1,"b":1}})", R"({"default":{}})"},
        {R"({"default":{"b":1}})"}},
       {R"({"type": "object", "properties": {"default": {"type": "object", "properties": {"a": true},
               "dependentSchemas": {"a": {"properties": {"b": true}}},
               "unevaluatedProperties": false}}})",
        {R"({"default":{"a":1,"b":1}})", R"({"default":{}})"},
        {R"({"default":{"b":1}})"}},
       {R"({"type": "array", "prefixItems": [true], "allOf": [{"prefixItems": [true, {"type": "null"}]}],
               "unevaluatedItems": false})",
        {"[]", "[1]", "[1,null]"},
        {"[1,2]", "[1,null,3]"}}});
}

TEST(Schema, DynamicReferencesThatMeanOneSchema) {
  Expect(
      {{R"({"$dynamicAnchor": "node", "type": "object", "properties": {"next": {"$dynamicRef": "#node"}},
               "additionalProperties": false})",
        {"{}", R"({"next":{"next":{}}})"},
        {R"({"next":1})", R"({"next":{"a":1}})"}},
       {R"({"$dynamicRef": "#/$defs/a", "$defs": {"a": {"type": "null"}}})", {"null"}, {"1"}}});
}

TEST(Schema, SpaceIsAsAsked) {
  const std::string schema = R"({"type": "object", "properties": {"a": {"type": "array"}}})";
  ExpectTexts(*Compiled(kSchema, schema), {R"({"a":[1,2]})"}, {R"({"a": [1, 2]})"});
  ExpectTexts(*Compiled(kSchema, schema, JsonSpace::kSpaced), {R"({"a": [1, 2]})"},
              {R"({"a":[1,2]})", R"({"a": [1,  2]})"});
  ExpectTexts(*Compiled(kSchema, schema, JsonSpace::kFlexible),
              {R"({"a": [1, 2]})", "{\n  \"a\": [1 ,2]\n}"}, {"{\"a\": [1 2]}"});
}

TEST(Schema, RefusesByNameAndPlace) {
  ExpectRefusals(
      {{R"({"properties": {"a": {"uniqueItems": true}}})", "#/properties/a: 'uniqueItems'"},
       {R"({"$recursiveRef": "#"})", "'$recursiveRef' is not supported"},
       {R"({"uniqueItems": true, "items": {"type": "string"}})", "#: 'uniqueItems'"},
       {R"({"type": "array", "uniqueItems": true, "minItems": 3, "items": {"type": "boolean"}})",
        "allows no text"},
       {R"({"$ref": "#/$defs/a", "$defs": {"a": {"$dynamicAnchor": "n", "items": {"$dynamicRef": "#n"}},
            "b": {"$id": "b", "$dynamicAnchor": "n"}}})",
        "'$dynamicRef' '#n' may mean several schemas"},
       {R"({"$ref": "#/$defs/a", "$defs": {"a": {"$dynamicAnchor": "n", "items": {"$dynamicRef": "#n"}}},
            "examples": [{"$dynamicAnchor": "n"}]})",
        "'$dynamicRef' '#n' may mean several schemas"},
       {R"({"$ref": "http://elsewhere.org/x"})", "is not within the schema"},
       {R"({"items": {"pattern": "(?=a)b"}})", "#/items: 'pattern'"},
       {R"({"format": "iri"})", "'iri' is not supported"},
       {R"({"multipleOf": 0.3})", "'multipleOf'"},
       {R"({"type": "text"})", "'type'"},
       {R"({"properties": 5})", "'properties' must be an object"},
       {R"({"not": {"items": {"type": "null"}}})", "'items' cannot be negated"},
       {R"({"type": "integer", "minimum": 5, "maximum": 4})", "no text"},
       {"[1]", "must be an object, true or false"},
       {"{", "not JSON"}});
}

}  // namespace
}  // namespace retort
