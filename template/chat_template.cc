// SPDX-License-Identifier: Apache-2.0
#include "template/chat_template.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "template/calls/call_table.h"
#include "template/calls/call_writer.h"
#include "template/chat_input.h"
#include "template/jinja/call.h"
#include "template/jinja/characters.h"
#include "template/named_templates.h"
#include "template/replies.h"

namespace retort {
namespace {

constexpr std::string_view kDate = "2024-07-26";  // Llama 3.1's own
constexpr std::string_view kClock = "strftime_now";

constexpr std::string_view kCalls = "tool_calls";

bool HasCalls(const Conversation& conversation) {
  return std::ranges::any_of(conversation.messages, [](const Message& m) {
    return m.more.find(kCalls) != std::string::npos;
  });
}

const NamedTemplate* FindNamed(std::string_view name) {
  const auto found = std::ranges::find(NamedTemplates(), name, &NamedTemplate::name);
  return found == NamedTemplates().end() ? nullptr : &*found;
}

std::vector<Segment> SegmentsOf(const jinja::Text& text, size_t begin, size_t end) {
  std::vector<Segment> segments;
  const jinja::Text part = text.Sub(begin, end);
  size_t at = 0;
  for (const auto& run : part.Runs()) {
    const bool markup = !(run.origin & jinja::kInput);
    const std::string_view bytes = part.view().substr(at, run.end - at);
    if (!segments.empty() && segments.back().markup == markup)
      segments.back().text += bytes;
    else
      segments.push_back({std::string(bytes), markup});
    at = run.end;
  }
  return segments;
}

}  // namespace

ChatTemplate::ChatTemplate(std::string name, std::string jinja, const std::string& where)
    : name_(std::move(name)),
      jinja_(std::move(jinja)),
      program_(jinja::Program::Compile(jinja_, where)) {}

const std::vector<std::string>& ChatTemplate::Names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const NamedTemplate& known : NamedTemplates()) all.emplace_back(known.name);
    return all;
  }();
  return names;
}

ChatTemplate ChatTemplate::Named(std::string_view name) { return Recorded(name, ""); }

ChatTemplate ChatTemplate::Recorded(std::string_view name, const std::string& preamble) {
  const NamedTemplate* known = FindNamed(name);
  if (!known)
    throw InputError("chat template '", name, "' is not known; use one of ", Join(Names(), ", "));
  return ChatTemplate(std::string(name), WithDefaultSystem(*known, preamble), std::string(name));
}

ChatTemplate ChatTemplate::Own(std::string_view jinja, const std::string& where) {
  if (Strip(jinja).empty()) {
    throw InputError(where, ": has no chat template; name one of ", Join(Names(), ", "),
                     " with data.template in a recipe or --template of a command");
  }
  return ChatTemplate("own", std::string(jinja), where);
}

ChatTemplate ChatTemplate::Resolve(std::string_view name_or_auto, const TokenizerSpec& spec,
                                   const std::string& where) {
  return name_or_auto == "auto" ? Own(spec.chat_template, where) : Named(name_or_auto);
}

std::string ChatTemplate::Called() const {
  return name_ == "own" ? "its chat template" : Cat("template '", name_, "'");
}

int32_t ChatTemplate::CheckMarks(const Tokenizer& tokenizer, const std::string& where) const {
  const std::string end = EndOfTurn(tokenizer.spec());
  if (end.empty() && tokenizer.spec().eos < 0) {
    throw InputError(where, ": ", Called(),
                     " ends a turn with the end token, which this tokenizer does not have");
  }
  if (end.empty()) {
    throw InputError(where, ": ", Called(), " ends no answer with a token; name one of ",
                     Join(Names(), ", "),
                     " with data.template in a recipe or --template of a command");
  }
  std::vector<std::string> marks;
  if (const NamedTemplate* known = FindNamed(name_)) marks = known->marks;
  marks.push_back(end);
  int32_t id = -1;
  for (const std::string& mark : marks) {
    const std::vector<int32_t> ids = tokenizer.Encode({Segment{mark, true}}, true);
    if (ids.size() != 1) {
      throw InputError(where, ": ", Called(), " needs the token ", Quoted(mark),
                       ", which this tokenizer does not have");
    }
    id = ids[0];
  }
  return id;
}

jinja::Text ChatTemplate::RenderTurns(const ChatInput& input, size_t count, bool generation_prompt,
                                      const std::string& where) const {
  jinja::Variables variables = input.Of(count, generation_prompt);
  if (program_.Names(kClock) && !program_.AsksFor(kClock))
    variables.emplace_back(kClock, jinja::FixedClock(kDate));
  return program_.Render(variables, input.bytes(), where);
}

namespace {

// Calls `render` with the forms that turns with tool calls may have, until the template takes one.
// The error is the first one that says what the template does not write, or else the first.
// render(form, rendered) sets `rendered` when the template has taken the form.
template <class Render>
auto WithCallForms(const Conversation& conversation, const Render& render) {
  const bool calls = HasCalls(conversation);
  constexpr CallForm kForms[] = {{false, false}, {true, false}, {false, true}, {true, true}};
  std::optional<Error> refused, unread;
  for (const CallForm& form : kForms) {
    bool rendered = false;
    try {
      return render(form, rendered);
    } catch (const Error& e) {
      if (e.kind() != Error::Kind::kInput) throw;
      std::optional<Error>& kept = rendered ? unread : refused;
      if (!kept) kept = e;
      if (!calls) break;
    }
  }
  throw unread ? *unread : *refused;
}

}  // namespace

bool ChatTemplate::MentionsCalls() const { return jinja_.find(kCalls) != std::string::npos; }

// Granite 3's tells the model how to call and writes no calls. Phi-4-mini's has the tools in the
// system's message, as text.
Conversation ChatTemplate::Adapted(Conversation conversation, const TokenizerSpec& spec,
                                   const std::string& where) const {
  if (!MentionsCalls() && HasCalls(conversation)) {
    const std::vector<CallFormat> told = FormatsNamedIn(ToolInstructions(spec));
    if (!told.empty()) WriteCallsInContent(told.front(), spec, conversation.messages, where);
  }
  if (conversation.tools.empty() || conversation.messages.empty() || program_.Names("tools") ||
      (jinja_.find("['tools']") == std::string::npos &&
       jinja_.find("[\"tools\"]") == std::string::npos))
    return conversation;
  return WithToolsInSystem(std::move(conversation));
}

jinja::Text ChatTemplate::RenderText(const Conversation& conversation, bool generation_prompt,
                                     const TokenizerSpec& spec, const std::string& where) const {
  if (const NamedTemplate* known = FindNamed(name_); known && !conversation.messages.empty())
    CheckRoles(conversation.messages, known->alternating, where);
  const Conversation adapted = Adapted(conversation, spec, where);
  return WithCallForms(adapted, [&](const CallForm& form, bool& rendered) {
    const ChatInput input(adapted, spec, form, where);
    jinja::Text text = RenderTurns(input, adapted.messages.size(), generation_prompt, where);
    rendered = true;
    input.CheckAllLookedAt(program_, where);
    return text;
  });
}

RenderedChat ChatTemplate::Render(const Conversation& given, bool generation_prompt,
                                  const TokenizerSpec& spec, const std::string& where) const {
  const Conversation conversation = Adapted(given, spec, where);
  const auto& messages = conversation.messages;
  const jinja::Text whole = RenderText(conversation, generation_prompt, spec, where);
  Replies replies;
  if (program_.has_generation()) {
    replies = MarkedReplies(messages, whole, where);
  } else {
    replies = WithCallForms(conversation, [&](const CallForm& form, bool&) {
      const ChatInput input(conversation, spec, form, where);
      const auto render = [&](size_t count, bool asks) {
        return RenderTurns(input, count, asks, where);
      };
      return FindReplies(messages, whole, EndOfTurn(spec), render, generation_prompt, where);
    });
  }
  RenderedChat out;
  out.rewritten = replies.rewritten;
  size_t at = 0;
  if (spec.bos >= 0) {
    const std::string& bos = spec.pieces.at(spec.bos).text;
    out.bos = !bos.empty() && whole.view().starts_with(bos) && !(whole.OriginAt(0) & jinja::kInput);
    if (out.bos) at = bos.size();
  }
  const auto put = [&](size_t end, bool reply, bool learn) {
    if (end > at) out.pieces.push_back({SegmentsOf(whole, at, end), reply, learn});
    at = std::max(at, end);
  };
  for (const Reply& reply : replies.found) {
    put(reply.begin, false, true);
    put(reply.end, true, reply.learn);
  }
  put(whole.size(), false, true);
  return out;
}

}  // namespace retort
