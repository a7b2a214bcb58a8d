// SPDX-License-Identifier: Apache-2.0
// The prompt of running is the prompt of training: what an adapter's record (retort.json) says of
// the chat template is used beside the adapter and written into the files of a merged model.
#pragma once

#include <string>

#include "model/store/base_record.h"
#include "template/chat_template.h"

namespace retort {

// The template for a model's conversations. A name other than "auto" is that template, plain.
// "auto" is what the adapter was trained with, if its folder (empty: no adapter) records one;
// otherwise the model's own. Throws Error{kInput}, beginning with `where`, if there is none.
ChatTemplate ChatTemplateFor(const std::string& name, const TokenizerSpec& spec,
                             const Path& adapter, const std::string& where);

// Makes a model's folder answer as it was taught: its Jinja text is replaced by the one that the
// record says, the ends that were taught are added to generation_config.json, and the schema that
// answers were held to is written. The folder's other files must be there. Throws Error{kInput} if
// the tokenizer lacks the template's marks.
void WriteTaughtChat(const Path& folder, const BaseRecord& record);

}  // namespace retort
