// SPDX-License-Identifier: Apache-2.0
// What "unevaluatedProperties" and "unevaluatedItems" are about: what no schema that holds for the
// same value says anything of. A branch that may hold too, but is not the one that is written, is
// left out of account, so that less is allowed than might be, never more.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "grammar/schema_compiler.h"

namespace retort {

// Whether a part is the schema `whole`, or one that its keywords added. What "not" made says
// nothing of members.
bool SchemaCompiler::BelongsTo(const Goal& items, const Item& part, const Item& whole) {
  const Item* at = &part;
  for (size_t steps = 0; steps <= items.size(); ++steps) {
    if (at->schema == whole.schema) return true;
    if (!at->parent || negated_.contains(at->schema)) return false;
    Spend(1 + items.size() / kPartsPerWork);
    const auto above = std::ranges::find(items, at->parent, &Item::schema);
    if (above == items.end()) return false;
    at = &*above;
  }
  return false;
}

const Json* SchemaCompiler::Unevaluated(const Goal& items, const Item& whole, const char* key,
                                        const Evaluates& evaluates) {
  const Json* schema = checking_ ? nullptr : Get(whole, key);
  if (!schema) return nullptr;
  Spend(items.size());
  const bool evaluated = std::ranges::any_of(items, [&](const Item& part) {
    const bool says = evaluates(part) || (part.schema != whole.schema && Get(part, key));
    return says && BelongsTo(items, part, whole);
  });
  return evaluated ? nullptr : schema;
}

}  // namespace retort
