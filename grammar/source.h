// SPDX-License-Identifier: Apache-2.0
// What an answer may be, as a request, a flag or a model's file says it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>

#include "base/json.h"

namespace retort {

// White space between the parts of a JSON text.
enum class JsonSpace : uint8_t {
  kCompact,   // none: {"a":1,"b":2}
  kSpaced,    // one behind commas and colons, as Python writes it: {"a": 1, "b": 2}
  kFlexible,  // up to kMostSpace characters wherever JSON allows it
};
inline constexpr uint32_t kMostSpace = 100;

// Throws Error{kInput}, beginning with `where`, naming the known ones: compact, spaced, flexible.
JsonSpace ParseJsonSpace(std::string_view name, const std::string& where);

struct GrammarSource {
  enum class Kind {
    kSchema,  // `text` is a JSON Schema
    kJson,    // any JSON object; no text
    kRegex,
    kChoices,  // `text` is a JSON list of texts
    kGbnf,     // llama.cpp's notation
    kLark,     // Lark's
  };
  Kind kind = Kind::kJson;
  std::string text;
  JsonSpace space = JsonSpace::kCompact;
  // Stands before every answer: a space, where completions begin with one. Not in chats.
  std::string before = {};
  // By which the log-probabilities of choices are divided where these are told
  // (runner/engine/field_probabilities.h), so that they can be trusted. No part of what is allowed,
  // so sources that differ in it alone are equal.
  double temperature = 1;

  bool operator==(const GrammarSource& other) const { return Language() == other.Language(); }
  bool operator<(const GrammarSource& other) const { return Language() < other.Language(); }

 private:
  std::tuple<const Kind&, const std::string&, const JsonSpace&, const std::string&> Language()
      const {
    return std::tie(kind, text, space, before);
  }
};

// That of a grammar's text, kGbnf or kLark: how its first rule is written tells. In lark.cc.
GrammarSource::Kind NotationOf(std::string_view grammar);

// The form in which a model's files carry a schema: {"schema": {...}, "json_space": "compact"}, and
// "before" if that is not empty, "temperature" if it is not 1.
Json SchemaJson(const GrammarSource& schema);
// Throws Error{kInput} beginning with `where` on another form. The schema itself is not read.
GrammarSource ReadSchemaJson(const Json& json, const std::string& where);

}  // namespace retort
