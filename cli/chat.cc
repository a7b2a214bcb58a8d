// SPDX-License-Identifier: Apache-2.0
#include "cli/chat.h"

#include "model/store/chat_files.h"

namespace retort {

ChatTemplate ChatFor(const std::string& name, const OpenedModel& model) {
  return ChatFor(name, model, model.chat_adapter);
}

ChatTemplate ChatFor(const std::string& name, const OpenedModel& model, const Path& chat_adapter) {
  const std::string where = model.files.path.string();
  ChatTemplate chat = ChatTemplateFor(name, model.tokenizer->spec(), chat_adapter, where);
  chat.CheckMarks(*model.tokenizer, where);
  return chat;
}

}  // namespace retort
