// SPDX-License-Identifier: Apache-2.0
// JSON through nlohmann-json. This header needs only its forward declarations; source files include
// the full header.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/file.h"

namespace retort {

using Json = nlohmann::ordered_json;  // keys keep the order of the text

// What a key that an object has twice means. Nobody can know which of the values was meant, and
// programs differ in the one they take, so it is an error. kLast: the last value counts, as in
// Python.
enum class RepeatedKeys { kRefuse, kLast };

// Parses text; `where` ("train.jsonl:17") begins every error. Nesting is capped at 256 levels.
// Takes time in proportion to the text, whatever is in it. Throws Error{kInput}:
//   WHERE: not JSON: unexpected '}' at line 1, column 9
//   WHERE: key 'rope_scaling.factor' is given twice; keep one of them
Json ParseJson(std::string_view text, const std::string& where, bool allow_comments = false,
               RepeatedKeys repeated = RepeatedKeys::kRefuse);
// The same for a file of at most 64 MiB.
Json ReadJson(const Path& path, bool allow_comments = false);

// Throws Error{kInput}, "WHERE: not JSON: a NUL character at line 1, column 3", if there is one:
// the parsing library takes it for the end of the text. For those who call that library themselves.
void RefuseNul(std::string_view text, const std::string& where);

// Adds a member to the end of an object that has no such key. Unlike object[key], which compares
// the key with all others, this takes the same time for an object of any size.
void AddMember(Json& object, std::string key, Json value);

// Typed access to a member of an object. Throws Error{kInput} that begins with `where`:
// "config.json: 'hidden_size' must be an integer". Without a fallback the key is required; with
// one, an absent key or null gives the fallback.
int64_t GetInt(const Json& object, std::string_view key, const std::string& where);
int64_t GetInt(const Json& object, std::string_view key, const std::string& where,
               int64_t fallback);
double GetNumber(const Json& object, std::string_view key, const std::string& where);
double GetNumber(const Json& object, std::string_view key, const std::string& where,
                 double fallback);
bool GetBool(const Json& object, std::string_view key, const std::string& where, bool fallback);
std::string GetString(const Json& object, std::string_view key, const std::string& where);
std::string GetString(const Json& object, std::string_view key, const std::string& where,
                      std::string_view fallback);

// JSON text, on one line if indent is -1. Invalid UTF-8 is replaced and never throws. Numbers
// round-trip.
std::string DumpJson(const Json& value, int indent = -1);

}  // namespace retort
