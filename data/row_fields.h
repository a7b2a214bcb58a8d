// SPDX-License-Identifier: Apache-2.0
// Reads the fields of one row. Used by data/rows.cc alone; see data/rows.h for the formats.
#pragma once

#include "base/json.h"
#include "data/rows.h"

namespace retort {

// Fills a row of this format whose `where` is set, its kind included. Throws Error{kInput} that
// begins with row.where.
void FillRow(const Json& json, RowFormat format, Row& row);

// For data/row_preference.cc, which reads rows of two answers, of a judged one, and of prompts and
// completions that are messages.
std::vector<Message> ReadMessageList(const Json& list, const char* key, const std::string& where);
// The row's 'system', tools and variables, for a row whose messages are filled.
void FillBesideMessages(const Json& json, Row& row);
// The row's 'system', before its prompt.
void AddSystem(const Json& json, Row& row);

void FillPreference(const Json& json, Row& row);
void FillUnpaired(const Json& json, Row& row);
// A prompt and a completion that are lists of messages.
void FillMessagePair(const Json& json, Row& row);

}  // namespace retort
