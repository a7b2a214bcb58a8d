// SPDX-License-Identifier: Apache-2.0
#include "grammar/schema_document.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/hex.h"
#include "base/text.h"
#include "tokenizer/utf8.h"

namespace retort {
namespace {

constexpr size_t kFewMembers = 16;       // which are compared one by one
constexpr size_t kMostNameBytes = 1000;  // of a URI with its anchor

std::string Escaped(std::string_view key) {
  return ReplaceAll(ReplaceAll(std::string(key), "~", "~0"), "/", "~1");
}

std::string Unescaped(std::string_view part) {
  std::string text;
  for (size_t i = 0; i < part.size(); ++i) {
    const int high = part[i] == '%' && i + 2 < part.size() ? HexDigit(part[i + 1]) : -1;
    const int low = high >= 0 ? HexDigit(part[i + 2]) : -1;
    if (low >= 0)
      text += static_cast<char>(high * 16 + low), i += 2;
    else
      text += part[i];
  }
  return ReplaceAll(ReplaceAll(text, "~1", "/"), "~0", "~");
}

// A reference relative to a base, without the fragment. Enough of RFC 3986 for names in a schema.
std::string Absolute(std::string_view base, std::string_view reference) {
  reference = reference.substr(0, reference.find('#'));
  if (reference.empty()) return std::string(base);
  const size_t colon = reference.find(':');
  if (colon != std::string_view::npos && colon < reference.find('/')) return std::string(reference);
  const size_t scheme = base.find("://");
  if (reference.starts_with("/")) {
    const size_t path = scheme == std::string_view::npos ? 0 : base.find('/', scheme + 3);
    return Cat(base.substr(0, path), reference);
  }
  const size_t slash = base.rfind('/');
  if (slash == std::string_view::npos || (scheme != std::string_view::npos && slash < scheme + 3))
    return std::string(reference);
  return Cat(base.substr(0, slash + 1), reference);
}

std::string FragmentOf(std::string_view reference) {
  const size_t hash = reference.find('#');
  return hash == std::string_view::npos ? "" : std::string(reference.substr(hash + 1));
}

// "/properties/a" for a part of a document; nullopt if it is none.
std::optional<std::string> PointerTo(const Json& part, const Json& from) {
  if (&from == &part) return "";
  if (!from.is_structured()) return std::nullopt;
  for (const auto& [key, member] : from.items())
    if (const auto rest = PointerTo(part, member)) return Cat("/", Escaped(key), *rest);
  return std::nullopt;
}

}  // namespace

SchemaDocument::SchemaDocument(std::string_view text, std::string where)
    : where_(std::move(where)) {
  if (text.size() > kMostBytes)
    throw InputError(where_, ": a schema may have at most ", kMostBytes, " bytes");
  root_ = std::make_unique<Json>(ParseJson(text, where_));
  if (root_->is_object() && root_->contains("$schema") && (*root_)["$schema"].is_string()) {
    const auto& version = (*root_)["$schema"].get_ref<const std::string&>();
    for (const char* old : {"draft-07", "draft-06", "draft-04", "draft-03"})
      draft7_ |= version.find(old) != std::string::npos;
  }
  Index(*root_, Name(*root_, ""), Part::kSchema);
}

SchemaDocument::~SchemaDocument() = default;

// The name as it is kept. The first schema of a name has it.
const std::string* SchemaDocument::Name(const Json& schema, std::string name) {
  if (name.size() > kMostNameBytes)
    Refuse(schema, Cat("its name, '$id' or an anchor, has more than ", kMostNameBytes, " bytes"));
  return &names_.try_emplace(std::move(name), &schema).first->first;
}

SchemaDocument::Part SchemaDocument::PartOf(Part within, const std::string& key) {
  static constexpr std::string_view kData[] = {"enum", "const", "default", "examples"};
  static constexpr std::string_view kByName[] = {"properties",  "patternProperties",
                                                 "$defs",       "dependentSchemas",
                                                 "definitions", "dependencies"};
  if (within == Part::kData) return Part::kData;
  if (within == Part::kSchemasByName) return Part::kSchema;
  if (std::ranges::find(kData, key) != std::end(kData)) return Part::kData;
  return std::ranges::find(kByName, key) != std::end(kByName) ? Part::kSchemasByName
                                                              : Part::kSchema;
}

void SchemaDocument::Index(const Json& json, const std::string* base, Part part) {
  if (!json.is_structured()) return;
  if (json.is_array()) {
    for (const Json& element : json) Index(element, base, part);
    return;
  }
  if (json.contains(kLink))
    Refuse(json, "has a member that begins with the control character U+0001; leave it out");
  const bool hidden = draft7_ && json.contains("$ref");
  const auto text = [&](const char* key) -> std::string {
    return !hidden && json.contains(key) && json[key].is_string() ? json[key].get<std::string>()
                                                                  : "";
  };
  // These count in data too, since references may point into it.
  unevaluated_ |= json.contains("unevaluatedProperties") || json.contains("unevaluatedItems");
  if (const std::string anchor = text("$dynamicAnchor"); !anchor.empty())
    ++dynamic_anchors_[anchor];
  if (part == Part::kSchema) {
    for (const char* key : {"$id", "id"}) {
      const std::string id = text(key);
      if (id.empty()) continue;
      const std::string* name = Name(json, id[0] == '#' ? *base + id : Absolute(*base, id));
      if (id[0] != '#') base = name;
    }
    for (const char* key : {"$anchor", "$dynamicAnchor"})
      if (const std::string anchor = text(key); !anchor.empty())
        Name(json, Cat(*base, "#", anchor));
  }
  if (!base->empty()) bases_[&json] = base;
  for (const auto& [key, member] : json.items()) Index(member, base, PartOf(part, key));
}

const Json* SchemaDocument::Member(const Json& object, std::string_view key) const {
  if (!object.is_object()) return nullptr;
  if (object.size() <= kFewMembers) {
    const auto at = object.find(key);
    return at == object.end() ? nullptr : &*at;
  }
  const auto [index, added] = members_.try_emplace(&object);
  if (added)
    for (const auto& [name, member] : object.get_ref<const Json::object_t&>())
      index->second.emplace(name, &member);
  const auto at = index->second.find(key);
  return at == index->second.end() ? nullptr : at->second;
}

// The part of a document that a pointer names; null if there is none.
const Json* SchemaDocument::At(const Json& from, std::string_view pointer) const {
  const Json* at = &from;
  while (at && !pointer.empty()) {
    if (pointer[0] != '/') return nullptr;
    const size_t end = std::min(pointer.find('/', 1), pointer.size());
    const std::string key = Unescaped(pointer.substr(1, end - 1));
    pointer.remove_prefix(end);
    if (!at->is_array()) {
      at = Member(*at, key);
      continue;
    }
    const bool number =
        !key.empty() && key.size() < 7 && key.find_first_not_of("0123456789") == std::string::npos;
    const size_t index = number ? std::stoul(key) : at->size();
    at = index < at->size() ? &(*at)[index] : nullptr;
  }
  return at;
}

// Null if it is not within the document.
const Json* SchemaDocument::Find(const Json& schema, const std::string& reference) const {
  const auto base = bases_.find(&schema);
  const std::string name = Absolute(base == bases_.end() ? "" : *base->second, reference);
  const std::string fragment = FragmentOf(reference);
  if (const auto resource = names_.find(name); resource != names_.end()) {
    if (fragment.empty()) return resource->second;
    if (const Json* part = At(*resource->second, fragment)) return part;
  }
  const auto anchor = names_.find(Cat(name, "#", fragment));
  return anchor == names_.end() ? nullptr : anchor->second;
}

const Json& SchemaDocument::Resolve(const Json& schema, const std::string& reference) {
  const Json*& found = resolved_[&schema];
  if (!found) found = Find(schema, reference);
  if (!found) Refuse(schema, Cat("'$ref' ", Quoted(reference), " is not within the schema"));
  return *found;
}

const Json& SchemaDocument::ResolveDynamic(const Json& schema, const std::string& reference) {
  const Json* found = Find(schema, reference);
  if (!found) Refuse(schema, Cat("'$dynamicRef' ", Quoted(reference), " is not within the schema"));
  // Only an anchor of that kind lets the way to the schema choose among those of its name.
  const Json* anchor = Member(*found, "$dynamicAnchor");
  const std::string fragment = FragmentOf(reference);
  const bool dynamic = anchor && anchor->is_string() && *anchor == fragment;
  if (dynamic && dynamic_anchors_[fragment] > 1)
    Refuse(schema, Cat("'$dynamicRef' ", Quoted(reference), " may mean several schemas; that is ",
                       "not supported"));
  return *found;
}

const Json& SchemaDocument::Add(Json schema) { return made_.emplace_back(std::move(schema)); }

Json SchemaDocument::Link(const Json& schema) {
  if (schema.is_object() && schema.contains(kLink)) return schema;
  linked_.push_back(&schema);
  return {{kLink, linked_.size() - 1}};
}

const Json& SchemaDocument::Linked(const Json& link) const {
  const auto index = link[kLink].get<size_t>();
  RETORT_CHECK(index < linked_.size(), "a link that was not made here");
  return *linked_[index];
}

void SchemaDocument::Refuse(const Json& schema, std::string_view what) const {
  const auto pointer = PointerTo(schema, *root_);
  const std::string place =
      pointer ? Cat("#", *pointer) : "(a schema made of 'not', 'if' or 'oneOf')";
  throw InputError(where_, ": ", place, ": ", what);
}

}  // namespace retort
