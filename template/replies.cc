// SPDX-License-Identifier: Apache-2.0
#include "template/replies.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "template/jinja/characters.h"

namespace retort {
namespace {

using jinja::Text;

constexpr std::string_view kMend =
    "give the row without what the template changes, put 'weight': 0 into the turn, or name a "
    "template with data.template or --template";

// How many bytes two texts begin with alike, in what they say and in who wrote it.
size_t CommonBegin(const Text& a, const Text& b) {
  const auto x = a.Runs(), y = b.Runs();
  const auto [left, right] = std::ranges::mismatch(a.view(), b.view());
  const auto alike = static_cast<size_t>(left - a.view().begin());
  size_t at = 0;
  for (size_t i = 0, j = 0; i < x.size() && j < y.size() && at < alike;) {
    if ((x[i].origin ^ y[j].origin) & jinja::kInput) return at;
    at = std::min(x[i].end, y[j].end);
    if (x[i].end == at) ++i;
    if (y[j].end == at) ++j;
  }
  return std::min(at, alike);
}

// Where the last `end` that the template wrote behind `begin` ends; npos if there is none.
size_t BehindLast(const Text& text, const std::string& end, size_t begin) {
  if (end.empty()) return std::string_view::npos;
  for (size_t at = text.view().rfind(end); at != std::string_view::npos && at >= begin;
       at = at == 0 ? std::string_view::npos : text.view().rfind(end, at - 1)) {
    if (!(text.OriginAt(at) & jinja::kInput)) return at + end.size();
  }
  return std::string_view::npos;
}

}  // namespace

Replies MarkedReplies(const std::vector<Message>& messages, const Text& whole,
                      const std::string& where) {
  Replies out;
  size_t begin = 0;
  for (const Text::Run& run : whole.Runs()) {
    if (run.origin & jinja::kReply) {
      if (!out.found.empty() && out.found.back().end == begin)
        out.found.back().end = run.end;
      else
        out.found.push_back({begin, run.end, true});
    }
    begin = run.end;
  }
  std::vector<bool> learn;
  for (const Message& m : messages) {
    if (m.role == "assistant") learn.push_back(m.learn);
  }
  if (std::ranges::find(learn, false) == learn.end()) return out;
  if (learn.size() != out.found.size()) {
    throw InputError(where, ": the chat template marks ", out.found.size(), " replies for ",
                     learn.size(),
                     " turns of the assistant, so one turn cannot be left out; take "
                     "'weight' out of the messages");
  }
  for (size_t i = 0; i < learn.size(); ++i) out.found[i].learn = learn[i];
  return out;
}

namespace {

// How much of a turn that begins at `begin` and ends at `stop` the template writes only if it is
// the last one: an empty thought, of its own characters, without which the whole text has the same
// there. 0 if there is no such beginning.
size_t WrittenLastOnly(const Text& turn, const Text& whole, size_t begin, size_t stop) {
  for (size_t at = begin + 1; at < stop && !(turn.OriginAt(at - 1) & jinja::kInput); ++at) {
    const std::string_view rest = turn.view().substr(at, stop - at);
    if (whole.view().substr(begin, rest.size()) == rest) return at - begin;
  }
  return 0;
}

// Where turn `i` stands in the whole text. nullopt if the template does not write it there as it
// asks for it.
std::optional<Reply> PlaceOf(size_t i, const std::vector<Message>& messages, const Text& whole,
                             const std::string& end, const RenderFirst& render, bool asks) {
  try {
    const Text prompt = render(i, true);
    const Text turn = i + 1 == messages.size() && !asks ? whole : render(i + 1, false);
    const size_t begin = prompt.size();
    size_t stop = BehindLast(turn, end, begin);
    if (stop == std::string_view::npos) stop = Stripped(turn, jinja::Side::kRight).size();
    if (CommonBegin(prompt, whole) != begin || stop <= begin) return std::nullopt;
    if (CommonBegin(turn, whole) < stop) {
      const size_t left_out =
          CommonBegin(prompt, turn) == begin ? WrittenLastOnly(turn, whole, begin, stop) : 0;
      if (left_out == 0) return std::nullopt;
      stop -= left_out;
    }
    return Reply{begin, stop, messages[i].learn};
  } catch (const Error& e) {
    if (e.kind() != Error::Kind::kInput) throw;
    return std::nullopt;  // the template refuses what stands before it alone
  }
}

}  // namespace

Replies FindReplies(const std::vector<Message>& messages, const Text& whole, const std::string& end,
                    const RenderFirst& render, bool asks, const std::string& where) {
  Replies out;
  size_t last_learnt = messages.size();
  for (size_t i = 0; i < messages.size(); ++i) {
    if (messages[i].role == "assistant" && messages[i].learn) last_learnt = i;
  }
  for (size_t i = 0; i < messages.size(); ++i) {
    if (messages[i].role != "assistant") continue;
    const auto place = PlaceOf(i, messages, whole, end, render, asks);
    if (place && (out.found.empty() || place->begin >= out.found.back().end)) {
      out.found.push_back(*place);
      continue;
    }
    ++out.rewritten;
    if (asks || i != last_learnt) continue;
    throw InputError(where, ": message ", i + 1,
                     ": the chat template writes this answer otherwise than it asks for it, so "
                     "that a model would not be asked as it was taught; ",
                     kMend);
  }
  return out;
}

}  // namespace retort
