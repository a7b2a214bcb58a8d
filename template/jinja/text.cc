// SPDX-License-Identifier: Apache-2.0
#include "template/jinja/text.h"

#include <algorithm>

namespace retort::jinja {

Text& Text::Append(std::string_view bytes, Origin origin) {
  if (bytes.empty()) return *this;
  if (bytes_.empty()) {
    last_ = origin;
  } else if (origin != last_) {
    runs_.push_back({bytes_.size(), last_});
    last_ = origin;
  }
  bytes_ += bytes;
  return *this;
}

Text& Text::Append(const Text& other, size_t begin, size_t end) {
  if (&other == this) return Append(Text(other), begin, end);
  const std::string_view all = other.bytes_;
  auto run = std::ranges::upper_bound(other.runs_, begin, {}, &Run::end);
  while (begin < end) {
    const bool last = run == other.runs_.end();
    const size_t stop = last ? end : std::min(end, run->end);
    Append(all.substr(begin, stop - begin), last ? other.last_ : run->origin);
    begin = stop;
    if (!last) ++run;
  }
  return *this;
}

Text Text::Sub(size_t begin, size_t end) const {
  Text out;
  out.Append(*this, begin, end);
  out.html = html;
  return out;
}

Origin Text::OriginAt(size_t byte) const {
  const auto run = std::ranges::upper_bound(runs_, byte, {}, &Run::end);
  return run == runs_.end() ? last_ : run->origin;
}

void Text::Mark(Origin bits) {
  Text marked;
  for (size_t begin = 0; const Run& run : Runs()) {
    marked.Append(view().substr(begin, run.end - begin), run.origin | bits);
    begin = run.end;
  }
  marked.html = html;
  *this = std::move(marked);
}

std::vector<Text::Run> Text::Runs() const {
  std::vector<Run> runs = runs_;
  if (!bytes_.empty()) runs.push_back({bytes_.size(), last_});
  return runs;
}

}  // namespace retort::jinja
