// SPDX-License-Identifier: Apache-2.0
// Decides what each step of the engine computes: which streams read how many tokens, and whose
// pages in the cache they use.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "runner/engine/pace.h"
#include "runner/engine/stream.h"

namespace retort {

// Every stream that generates reads its last token in each step, with those before it that a
// grammar has forced. The rest of a step's tokens are
// shared among the prompts that wait, so that none waits for a longer one to be read to its end:
//   * the oldest prompt gets at least half, so that each is read in time;
//   * the others get the rest, the shortest first. A prompt of at most kShort tokens that is left
//     is read at once, so its first token comes with this step.
// A prompt is read up to its last piece without a place. That piece needs one of the `parallel`
// places, because the stream generates from then on, unless its end is the stream's. The oldest
// goes on being read while no place is free; the others wait.
//
// What the cache has of a prompt is not read again. A longer prompt waits while another reads the
// page that it needs next, to take it from there.
//
// Pages are taken as tokens are read. If none is free, streams that generate, and the oldest
// prompt, take those of the youngest stream that is younger than they are. It loses its place, and
// is read again from its tokens when there is room; none is dropped. A long prompt begins only if
// there is room for all of it. So there is always a stream that goes on: the oldest of all, or,
// while that waits for a place, one that generates (which may then take its pages).
class Scheduler {
 public:
  static constexpr int64_t kShort = 64;  // tokens

  using Streams = std::deque<std::unique_ptr<Stream>>;  // in the order of their arrival
  struct Piece {
    Stream* stream;
    int64_t tokens;
  };

  // paced: the number of tokens also follows how long steps take (Pace).
  Scheduler(KvCache& cache, int64_t parallel, int64_t prefill_tokens, bool paced)
      : cache_(cache), parallel_(parallel), prefill_tokens_(prefill_tokens), paced_(paced) {}

  // The next step's pieces; not empty unless there are no streams. The streams hold the pages that
  // they need, and those that read their last token generate.
  const std::vector<Piece>& Plan(const Streams& streams);
  // What the planned step took.
  void Observe(double seconds);

  int64_t preempted() const { return preempted_; }  // streams that lost their pages, so far

 private:
  struct Waiting {
    Stream* stream;
    KvCache::Match match;  // what the cache has of it
    int64_t unread() const { return stream->unread() - match.pages * kPageTokens; }
  };

  void Sort(const Streams& streams);
  // Whether the stream's last piece may be read.
  bool MayEnd(const Stream& stream) const { return places_ > 0 || stream.reads_only(); }
  bool ReadsFor(const Stream& stream, const Waiting& other) const;
  int64_t Budget();
  void PlanOldest(const Streams& streams, int64_t budget);
  void PlanOthers(const Streams& streams, int64_t budget);
  void Add(Stream& stream, int64_t tokens);
  bool MayBegin(const Streams& streams, const Stream& stream) const;
  int64_t FreeWithout(const Streams& streams,
                      const std::function<bool(const Stream&)>& which) const;
  // Takes pages for the stream's first `tokens` tokens, if need be from others.
  bool Reserve(const Streams& streams, Stream& stream, int64_t tokens);
  static Stream* Victim(const Streams& streams, const Stream& stream, bool full);
  void Preempt(Stream& stream);

  KvCache& cache_;
  const int64_t parallel_, prefill_tokens_;
  const bool paced_;
  Pace pace_;
  int64_t preempted_ = 0;

  // Of the current step. Kept between steps, so that they allocate nothing.
  std::vector<Piece> pieces_;
  Stream* oldest_ = nullptr;     // the oldest stream that does not generate
  std::vector<Waiting> others_;  // the other ones, those with least to read first
  int64_t places_ = 0;           // that are free
  int64_t generating_ = 0, prompt_tokens_ = 0;
  int64_t wanted_ = 0;  // pages of those that generate, now or soon
};

}  // namespace retort
