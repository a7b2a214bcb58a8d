// SPDX-License-Identifier: Apache-2.0
#include "runner/http/exchange.h"

namespace retort {

void HttpOutbox::Begin(HttpStream stream) {
  {
    const std::lock_guard lock(mutex_);
    last_words_ = stream.last_words;
  }
  Push({Part::Kind::kBegin, {}, std::move(stream), {}});
}

void HttpOutbox::Push(Part part) {
  std::function<void()> needless;  // and what it holds is given back without the mutex
  {
    const std::lock_guard lock(mutex_);
    if (gone_ || ended_) return;
    begun_ |= part.kind == Part::Kind::kBegin;
    ended_ |= part.kind == Part::Kind::kWhole || part.kind == Part::Kind::kEnd;
    if (ended_) needless.swap(on_gone_);
    unread_ += static_cast<int64_t>(part.bytes.size());
    parts_.push_back(std::move(part));
  }
  wake_();
}

std::optional<HttpOutbox::Part> HttpOutbox::Pop() {
  const std::lock_guard lock(mutex_);
  if (parts_.empty()) return std::nullopt;
  Part part = std::move(parts_.front());
  parts_.pop_front();
  unread_ -= static_cast<int64_t>(part.bytes.size());
  return part;
}

bool HttpOutbox::gone() const {
  const std::lock_guard lock(mutex_);
  return gone_;
}

bool HttpOutbox::overfull() const {
  const std::lock_guard lock(mutex_);
  return unread_ > most_unread_;
}

void HttpOutbox::OnGone(std::function<void()> on_gone) {
  std::unique_lock lock(mutex_);
  if (ended_) return;
  if (!gone_) {
    on_gone_ = std::move(on_gone);
    return;
  }
  lock.unlock();
  on_gone();
}

void HttpOutbox::Leave(std::unique_lock<std::mutex> lock) {
  const bool early = !ended_ && !gone_;
  gone_ = true;
  const auto on_gone = std::exchange(on_gone_, nullptr);
  lock.unlock();
  if (early && on_gone) on_gone();
}

void HttpOutbox::Close() { Leave(std::unique_lock(mutex_)); }

void HttpOutbox::Interrupt(HttpAnswer whole) {
  std::unique_lock lock(mutex_);
  if (!ended_ && !gone_) {
    if (begun_) {
      parts_.push_back({Part::Kind::kBytes, {}, {}, last_words_});
      parts_.push_back({Part::Kind::kEnd, {}, {}, {}});
    } else {
      parts_.push_back({Part::Kind::kWhole, std::move(whole), {}, {}});
    }
  }
  Leave(std::move(lock));
}

}  // namespace retort
