// SPDX-License-Identifier: Apache-2.0
// The JSON Schema that a model was trained to answer by (recipe key data.schema), as its files
// carry it: retort.json beside an adapter, answer_schema.json in a folder, retort.schema in a GGUF.
#pragma once

#include <optional>

#include "formats/gguf_metadata.h"
#include "grammar/source.h"
#include "model/adapter_sum.h"
#include "model/model_files.h"

namespace retort {

// What answers are held to unless a request or a flag says otherwise. Not for a model with an
// adapter, which answers by its own record's schema (BaseRecord::answers) and never by its base's.
// Throws Error{kInput} naming the file if it holds something else.
std::optional<GrammarSource> AnswerSchemaOf(const ModelFiles& files);

// What adapters added together answer by, of their folders: their own schema if all have the same.
std::optional<GrammarSource> AnswerSchemaOf(const std::vector<WeightedAdapter>& adapters);

void WriteAnswerSchema(const Path& folder, const GrammarSource& schema);
// Puts the temperature of choices beside the schema that an adapter's or a model's folder carries.
// Throws Error{kInput} if it carries none.
void KeepTemperature(const Path& folder, double temperature);
void AnswerSchemaToGguf(const GrammarSource& schema, GgufMetadata& metadata);

}  // namespace retort
