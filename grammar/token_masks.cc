// SPDX-License-Identifier: Apache-2.0
#include "grammar/token_masks.h"

#include <algorithm>
#include <utility>

#include "base/seeded_hash.h"

namespace retort {
namespace {

// More tokens than this are kept as a mask.
constexpr size_t kFewTokens = 512;
// What takes about as long as a derivative does.
constexpr size_t kLooksPerStep = 32;
// What begins a walk.
constexpr size_t kLooksOfWalk = 4;

void Allow(std::span<const int32_t> ids, std::span<uint64_t> bits) {
  for (const int32_t id : ids) bits[static_cast<size_t>(id) / 64] |= uint64_t{1} << id % 64;
}

}  // namespace

TokenMasks::TokenMasks(Parser& parser, const Vocabulary& vocabulary)
    : parser_(parser),
      automaton_(parser.automaton()),
      vocabulary_(vocabulary),
      states_(Vocabulary::kLongestToken + 1) {}

void TokenMasks::Fill(const Parser::Configuration& at, std::span<uint64_t> bits) {
  std::ranges::fill(bits, 0);
  followed_.Clear();
  for (const Parser::Thread& thread : at.threads) {
    ChargeLooks();
    if (bytes_ > kMostBytes) heads_.clear(), bytes_ = 0;
    const Head& head = HeadOf(automaton_.Horizon(thread.state, Vocabulary::kMostPlain));
    for (size_t word = 0; word < head.mask.size(); ++word) bits[word] |= head.mask[word];
    Allow(head.ids, bits);
    FollowExits(head.exits, thread.frame, false, bits);
    // Longer tokens may exhaust counts, so they are walked with the state itself.
    Head rest;
    Walk(vocabulary_.long_ones(), 0, vocabulary_.long_ones().size(), thread.state, rest);
    Allow(rest.ids, bits);
    FollowExits(rest.exits, thread.frame, false, bits);
  }
}

const TokenMasks::Head& TokenMasks::HeadOf(State state) {
  std::unique_ptr<Head>& head = heads_[state];
  if (!head) {
    head = std::make_unique<Head>(MakeHead(state));
    bytes_ += sizeof(Head) + head->ids.size() * sizeof(int32_t) +
              head->mask.size() * sizeof(uint64_t) + head->exits.size() * sizeof(Exit);
  }
  return *head;
}

TokenMasks::Head TokenMasks::MakeHead(State state) {
  Head head;
  const uint32_t free = automaton_.FreeCharacters(state);
  const TokenTrie& plain = vocabulary_.plain();
  if (free == 0) Walk(plain, 0, plain.size(), state, head);
  Walk(vocabulary_.others(), 0, vocabulary_.others().size(), state, head);
  if (free > 0) {
    head.mask = vocabulary_.PlainUpTo(free);
  } else if (head.ids.size() > kFewTokens) {
    head.mask.resize(vocabulary_.mask_words());
  }
  if (!head.mask.empty()) {
    Allow(head.ids, head.mask);
    head.ids = {};
  }
  return head;
}

void TokenMasks::Walk(const TokenTrie& trie, uint32_t begin, uint32_t end, State state,
                      Head& head) {
  if (begin == end) return;
  const auto add = [&](std::span<const int32_t> ids) {
    head.ids.insert(head.ids.end(), ids.begin(), ids.end());
  };
  const bool plain = &trie == &vocabulary_.plain();
  states_[trie[begin].depth - 1] = state;
  size_t looks = kLooksOfWalk;
  for (uint32_t at = begin; at < end; ++looks) {
    const TokenTrie::Node& node = trie[at];
    const State next = automaton_.Next(states_[node.depth - 1], node.byte);
    if (next == Automaton::kDead) {
      at = node.end;
      continue;
    }
    // The rest of a plain token is characters that are free here. (Its bytes may end a character,
    // but then the state is not within one.)
    if (plain && automaton_.FreeCharacters(next) >= Vocabulary::kMostPlain) {
      add(trie.TokensBelow(at));
      at = node.end;
      continue;
    }
    add(trie.TokensAt(at));
    states_[node.depth] = next;
    if (automaton_.Accepts(next) && node.end > at + 1) head.exits.push_back({&trie, at});
    ++at;
  }
  looks_ += looks;
}

void TokenMasks::FollowExits(std::span<const Exit> exits, Parser::FrameId frame, bool nested,
                             std::span<uint64_t> bits) {
  if (exits.empty() || frame == Parser::kBottom) return;
  const Parser::Configuration& behind = parser_.Closure(frame);
  const ByteSet first = parser_.FirstBytes(behind);
  looks_ += exits.size() + behind.threads.size();
  for (const Exit& exit : exits) {
    ChargeLooks();
    const TokenTrie& trie = *exit.trie;
    const uint32_t end = trie[exit.node].end;
    bool known_new = !nested;  // found out where something follows, which is seldom
    for (uint32_t child = exit.node + 1; child < end; child = trie[child].end) {
      if (!first[trie[child].byte]) continue;
      if (!known_new && !IsNew(exit, frame)) break;
      known_new = true;
      for (const Parser::Thread& thread : behind.threads) {
        Head found;
        Walk(trie, child, trie[child].end, thread.state, found);
        Allow(found.ids, bits);
        FollowExits(found.exits, thread.frame, true, bits);
      }
    }
  }
}

bool TokenMasks::IsNew(const Exit& exit, Parser::FrameId frame) {
  const uint64_t trie = exit.trie == &vocabulary_.plain()    ? 0
                        : exit.trie == &vocabulary_.others() ? 1
                                                             : 2;
  if (!followed_.Insert((uint64_t{exit.node} * 3 + trie) << 32 | frame)) return false;
  looks_ += kLooksPerStep;
  return true;
}

void TokenMasks::ChargeLooks() {
  const size_t steps = std::exchange(looks_, looks_ % kLooksPerStep) / kLooksPerStep;
  parser_.Charge(steps);
}

void TokenMasks::KeySet::Clear() {
  ++round_;
  size_ = 0;
  constexpr size_t kMostKept = 4096;
  if (slots_.size() > kMostKept) slots_ = std::vector<Slot>(kMostKept);
}

bool TokenMasks::KeySet::Insert(uint64_t key) {
  if (!Place(key)) return false;
  if (++size_ * 2 <= slots_.size()) return true;
  const std::vector<Slot> old = std::exchange(slots_, std::vector<Slot>(slots_.size() * 2));
  for (const Slot& slot : old)
    if (slot.round == round_) Place(slot.key);
  return true;
}

bool TokenMasks::KeySet::Place(uint64_t key) {
  size_t at = SeededHash(key) & (slots_.size() - 1);
  for (; slots_[at].round == round_; at = (at + 1) & (slots_.size() - 1))
    if (slots_[at].key == key) return false;
  slots_[at] = {key, round_};
  return true;
}

}  // namespace retort
