// SPDX-License-Identifier: Apache-2.0
#include "cli/chat.h"

#include "train/checkpoint.h"

namespace retort {

ChatTemplate ChatFor(const std::string& name, const OpenedModel& model,
                     const std::string& adapter) {
  std::string chosen = name;
  if (name == "auto" && !adapter.empty()) {
    const auto base = ReadBaseRecord(adapter);
    if (base && !base->chat_template.empty()) chosen = base->chat_template;
  }
  const std::string where = model.files.path.string();
  ChatTemplate chat = ChatTemplate::Resolve(chosen, model.tokenizer->spec(), where);
  chat.CheckMarks(*model.tokenizer, where);
  return chat;
}

}  // namespace retort
