// SPDX-License-Identifier: Apache-2.0
#include "runner/engine/scheduler.h"

#include <algorithm>

#include "base/error.h"

namespace retort {
namespace {

// Up to this many pages, a prompt begins if they are free, whatever others will need.
constexpr int64_t kFewPages = 4;

// Of so many prompts that wait, it is looked up what the cache has of them, to order them.
constexpr size_t kLookedUp = 64;

// Tokens that a generating stream reads at once: more than one if a grammar has forced them.
constexpr int64_t kMostUnread = 64;

// Pages that the stream needs to have all its tokens read.
int64_t Missing(const Stream& s) {
  return std::max<int64_t>(0, KvCache::PagesFor(s.size()) - std::ssize(s.pages.pages));
}

// Whether `stream` may take the pages of `other`: of a younger one, and while no place is free
// (`full`), of one that waits for a place.
bool MayTake(const Stream& stream, const Stream& other, bool full) {
  return other.id() > stream.id() || (full && !other.generates && other.id() != stream.id());
}

}  // namespace

const std::vector<Scheduler::Piece>& Scheduler::Plan(const Streams& streams) {
  Sort(streams);
  const int64_t budget = Budget();
  // In the order of arrival, so that nothing is taken from a stream that is planned already.
  for (const auto& stream : streams) {
    if (stream->generates) {
      // If there is no page, it is the youngest, and waits with those that it has.
      if (Reserve(streams, *stream, stream->size()))
        pieces_.push_back({stream.get(), std::min(stream->unread(), kMostUnread)});
    } else if (stream.get() == oldest_ && budget > 0) {
      PlanOldest(streams, budget);
    }
  }
  if (pieces_.empty() && oldest_ && budget == 0) PlanOldest(streams, Pace::kLeast);
  generating_ =
      std::ranges::count_if(pieces_, [this](const Piece& p) { return p.stream != oldest_; });
  if (budget > 0) PlanOthers(streams, budget - prompt_tokens_);
  RETORT_CHECK(!pieces_.empty() || streams.empty(), "no stream can go on");
  return pieces_;
}

void Scheduler::Observe(double seconds) {
  if (paced_) pace_.Observe(generating_, prompt_tokens_, seconds);
}

void Scheduler::Sort(const Streams& streams) {
  pieces_.clear();
  others_.clear();
  oldest_ = nullptr;
  places_ = parallel_;
  generating_ = prompt_tokens_ = wanted_ = 0;
  for (const auto& stream : streams) {
    if (stream->generates) {
      --places_, ++generating_;
      wanted_ += std::max<int64_t>(1, Missing(*stream));
    } else if (!oldest_) {
      oldest_ = stream.get();
    } else {
      const bool looked_up = others_.size() < kLookedUp;
      others_.push_back({stream.get(), looked_up ? stream->MatchOf(cache_) : KvCache::Match{}});
    }
  }
}

int64_t Scheduler::Budget() {
  if (!oldest_) return 0;
  return paced_ ? std::min(prefill_tokens_, pace_.Tokens(generating_)) : prefill_tokens_;
}

void Scheduler::PlanOldest(const Streams& streams, int64_t budget) {
  Stream& s = *oldest_;
  if (!s.begun() && !MayBegin(streams, s)) return;
  s.Adopt(cache_);
  int64_t demand = 0;  // of the others, which are not read while no place is free
  for (const Waiting& other : others_) {
    if (MayEnd(*other.stream) && !ReadsFor(s, other)) demand += other.unread();
  }
  int64_t share = std::max(budget - std::min(budget, demand), (budget + 1) / 2);
  if (paced_ && s.unread() <= kShort) share = std::max(share, s.unread());
  const int64_t tokens = s.PieceOf(share);
  if (places_ == 0) {  // not to its end, and without disturbing those that generate
    const int64_t more = KvCache::PagesFor(s.read() + tokens) - std::ssize(s.pages.pages);
    const bool waits = tokens == s.unread() && !MayEnd(s);
    if (waits || more + wanted_ > cache_.free_pages()) return;
  }
  if (Reserve(streams, s, s.read() + tokens)) Add(s, tokens);
}

// These take free pages alone.
void Scheduler::PlanOthers(const Streams& streams, int64_t budget) {
  std::ranges::sort(others_, [](const Waiting& a, const Waiting& b) {
    return a.unread() != b.unread() ? a.unread() < b.unread() : a.stream->id() < b.stream->id();
  });
  int64_t at_once = paced_ ? kShort : 0;
  for (const Waiting& waiting : others_) {
    Stream* s = waiting.stream;
    const bool is_short = waiting.unread() <= at_once;
    if (!is_short && budget < std::min<int64_t>(2, waiting.unread())) return;
    if (!MayEnd(*s)) continue;
    const auto reads = [&](const Piece& piece) { return ReadsFor(*piece.stream, waiting); };
    if (!is_short && std::ranges::any_of(pieces_, reads)) continue;
    if (!s->begun() && !MayBegin(streams, *s)) continue;
    s->Adopt(cache_);
    const int64_t tokens = s->PieceOf(is_short ? s->unread() : budget);
    if (!cache_.Extend(s->pages, s->read() + tokens)) continue;
    if (is_short) at_once -= tokens;
    budget -= tokens;
    Add(*s, tokens);
  }
}

// Whether the stream reads the page that the other needs next, and will let it have it.
bool Scheduler::ReadsFor(const Stream& stream, const Waiting& other) const {
  return cache_.keeps_prefixes() && stream.ReadsNextPageOf(*other.stream, other.match);
}

void Scheduler::Add(Stream& stream, int64_t tokens) {
  pieces_.push_back({&stream, tokens});
  prompt_tokens_ += tokens;
  stream.generates = tokens == stream.unread() && !stream.reads_only();
  if (stream.generates) --places_;
}

// Pages that would be free without these streams.
int64_t Scheduler::FreeWithout(const Streams& streams,
                               const std::function<bool(const Stream&)>& which) const {
  std::vector<const PageTable*> tables;
  for (const auto& s : streams) {
    if (!s->pages.pages.empty() && which(*s)) tables.push_back(&s->pages);
  }
  return cache_.FreeWithout(tables);
}

bool Scheduler::MayBegin(const Streams& streams, const Stream& stream) const {
  const int64_t need = Missing(stream) - stream.MatchOf(cache_).in_use;
  const int64_t free = cache_.free_pages();
  if (need <= kFewPages && need <= free) return true;
  int64_t held = 0;    // pages
  int64_t wanted = 0;  // by those that are being read, and one for each that generates
  for (const auto& s : streams) {
    held += std::ssize(s->pages.pages);
    wanted += s->generates ? 1 : s->begun() ? Missing(*s) : 0;
  }
  if (held == 0) return true;
  if (need + wanted + std::min(kFewPages, cache_.pages() / 8) <= free) return true;
  return &stream == oldest_ && places_ > 0 &&
         need <= FreeWithout(streams, [&](const Stream& s) { return s.id() > stream.id(); });
}

bool Scheduler::Reserve(const Streams& streams, Stream& stream, int64_t tokens) {
  if (cache_.Extend(stream.pages, tokens)) return true;
  const bool full = places_ == 0;
  const int64_t more = KvCache::PagesFor(tokens) - std::ssize(stream.pages.pages);
  const auto may_take = [&](const Stream& s) { return MayTake(stream, s, full); };
  if (more > FreeWithout(streams, may_take)) return false;  // nothing is taken in vain
  while (!cache_.Extend(stream.pages, tokens)) Preempt(*Victim(streams, stream, full));
  return true;
}

Stream* Scheduler::Victim(const Streams& streams, const Stream& stream, bool full) {
  Stream* waiting = nullptr;
  for (auto it = streams.rbegin(); it != streams.rend(); ++it) {
    const auto& s = *it;
    if (s->pages.pages.empty() || !MayTake(stream, *s, full)) continue;
    if (s->id() > stream.id()) return s.get();
    if (!waiting) waiting = s.get();
  }
  RETORT_CHECK(waiting, "no pages to take");
  return waiting;
}

void Scheduler::Preempt(Stream& stream) {
  cache_.Release(stream.pages);
  stream.Forget();
  if (stream.generates) ++places_;
  stream.generates = false;
  ++preempted_;
}

}  // namespace retort
