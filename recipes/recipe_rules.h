// SPDX-License-Identifier: Apache-2.0
// Which values of a recipe go together. Each value by itself fits its key already (keys.h).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "recipes/recipe.h"

namespace retort {

// The keys that a recipe's author gave, and where.
class GivenPlaces {
 public:
  // file: where a key stands that was not given.
  explicit GivenPlaces(std::string file) : file_(std::move(file)) {}
  void Add(const std::string& name, const std::string& where) { where_[name] = where; }

  bool Has(const std::string& name) const { return where_.contains(name); }
  const std::string& Where(const std::string& name) const;
  // The first of a section, by the alphabet.
  std::optional<std::string> FirstOf(std::string_view section) const;

 private:
  const std::string file_;
  std::map<std::string, std::string> where_;
};

// Throws Error{kInput} if a folder cannot be called so.
void CheckRunName(const std::string& name, const std::string& where);

// Throws Error{kInput}, "WHERE: 'KEY' ...", at the first rule that is broken.
void CheckRules(const Recipe& recipe, const GivenPlaces& given);

}  // namespace retort
