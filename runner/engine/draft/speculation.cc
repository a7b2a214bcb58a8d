// SPDX-License-Identifier: Apache-2.0
#include "runner/engine/draft/speculation.h"

#include <algorithm>
#include <exception>

namespace retort {

void Speculation::Plan(std::span<const Scheduler::Piece> pieces, KvCache& cache) {
  Ask(pieces);
  if (requests_.empty() || !Propose()) return;
  for (size_t i = 0; i < streams_.size(); ++i) {
    Stream& stream = *streams_[i];
    stream.Guess(requests_[i].ids);
    if (!stream.MayGuess()) Forget(stream);
    if (!cache.Extend(stream.pages, stream.size() + std::ssize(stream.guesses())))
      stream.LeaveGuesses();
  }
}

bool Speculation::Propose() {
  try {
    drafter_->Propose(requests_);
    return true;
  } catch (const std::exception&) {
    // How far it has read these streams is not known any more. Their answers go on without it.
    for (Stream* stream : streams_) {
      stream->EndGuesses();
      Forget(*stream);
    }
    return false;
  }
}

void Speculation::Ask(std::span<const Scheduler::Piece> pieces) {
  streams_.clear(), requests_.clear();
  int64_t room = kFullStep, left = 0;  // left: streams that may yet guess
  const auto may_guess = [](const Scheduler::Piece& piece) {
    return piece.tokens == piece.stream->unread() && piece.stream->MayGuess();
  };
  for (const Scheduler::Piece& piece : pieces) room -= piece.tokens, left += may_guess(piece);
  for (const Scheduler::Piece& piece : pieces) {
    if (room <= 0) return;
    if (!may_guess(piece)) continue;
    DraftRequest request = piece.stream->AskForGuesses();
    request.most = std::min({request.most, (room + left - 1) / left, tokens_});
    --left;
    if (request.most <= 0) continue;
    room -= request.most;
    requests_.push_back(std::move(request));
    streams_.push_back(piece.stream);
  }
}

}  // namespace retort
