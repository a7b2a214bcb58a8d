// SPDX-License-Identifier: Apache-2.0
// A JSON Schema as a document: its subschemas, their places, and what references mean.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/json.h"

namespace retort {

class SchemaDocument {
 public:
  // Throws Error{kInput} that begins with `where`. The text is at most kMostBytes long.
  static constexpr size_t kMostBytes = size_t{2} << 20;
  SchemaDocument(std::string_view text, std::string where);
  ~SchemaDocument();
  SchemaDocument(const SchemaDocument&) = delete;
  SchemaDocument& operator=(const SchemaDocument&) = delete;

  const Json& root() const { return *root_; }
  // Draft 7 and older, where "$ref" hides its neighbours.
  bool draft7() const { return draft7_; }
  // Whether there are "unevaluatedProperties" or "unevaluatedItems".
  bool unevaluated() const { return unevaluated_; }
  // What a "$ref" of a schema stands for. Throws if it is not within the document.
  const Json& Resolve(const Json& schema, const std::string& reference);
  // The same of a "$dynamicRef". Throws too if that depends on the way to the schema.
  const Json& ResolveDynamic(const Json& schema, const std::string& reference);
  // A member of an object of the document or of a made schema, found in the same time whatever the
  // object's size; null if there is none, or if it is no object.
  const Json* Member(const Json& object, std::string_view key) const;
  // A schema that is made while compiling. It holds parts of the document as links.
  const Json& Add(Json schema);
  // {kLink: ...}, which stands for a schema of the document; and that schema. No text has kLink as
  // a key.
  static constexpr const char* kLink = "\x01schema";
  Json Link(const Json& schema);
  const Json& Linked(const Json& link) const;
  // "WHERE: #/properties/a: WHAT"
  [[noreturn]] void Refuse(const Json& schema, std::string_view what) const;
  const std::string& where() const { return where_; }

 private:
  // What a part of the document is: a schema, an object of schemas by names that are no keywords,
  // or data, within which "$id" and "$anchor" say nothing.
  enum class Part { kSchema, kSchemasByName, kData };
  static Part PartOf(Part within, const std::string& key);
  // Notes the names within a part, and their bases.
  void Index(const Json& json, const std::string* base, Part part);
  const std::string* Name(const Json& schema, std::string name);
  const Json* At(const Json& from, std::string_view pointer) const;
  const Json* Find(const Json& schema, const std::string& reference) const;

  std::string where_;
  std::unique_ptr<Json> root_;
  bool draft7_ = false;
  std::unordered_map<std::string, const Json*> names_;  // URIs and URIs with anchors
  // The URI, a key of names_, that an object's references are relative to, if it is not empty.
  std::unordered_map<const Json*, const std::string*> bases_;
  std::unordered_map<const Json*, const Json*> resolved_;    // of each schema with a "$ref"
  std::unordered_map<std::string, size_t> dynamic_anchors_;  // how many have the name
  bool unevaluated_ = false;
  // The members of large objects.
  mutable std::unordered_map<const Json*, std::unordered_map<std::string_view, const Json*>>
      members_;
  std::deque<Json> made_;
  std::vector<const Json*> linked_;
};

}  // namespace retort
