// SPDX-License-Identifier: Apache-2.0
#include "runner/engine/draft/model_drafter.h"

#include <algorithm>

#include "base/error.h"

namespace retort {
namespace {

// Whole pages of the prompt, without its last token, which is always read.
size_t SharedTokens(const DraftRequest& request) {
  return static_cast<size_t>((request.prompt_tokens - 1) / kPageTokens * kPageTokens);
}

}  // namespace

ModelDrafter::ModelDrafter(const Model& model, const Adapter* adapter, int64_t most_ids,
                           DType cache_type, int64_t cache_tokens, int64_t kept_tokens)
    : model_(model),
      adapter_(adapter),
      ids_(static_cast<size_t>(std::min(most_ids, model.config.vocab))),
      cache_(model.backend, model.planes(), cache_type, cache_tokens, kept_tokens) {}

void ModelDrafter::Propose(std::span<DraftRequest> requests) {
  batch_.Clear();
  batch_.layout.block_size = static_cast<int32_t>(kPageTokens);
  cache_.view().rows.clear(), asked_.clear(), rows_.clear();
  int64_t share = kReadAtOnce;
  for (DraftRequest& request : requests) share -= CatchUp(request, share);
  while (batch_.tokens() > 0) {
    Step();
    batch_.Clear();
    cache_.view().rows.clear(), rows_.clear();
    std::erase_if(asked_, [this](const DraftRequest* r) {
      return std::ssize(r->ids) >= r->most || readers_.at(r->stream).given_up;
    });
    for (const DraftRequest* request : asked_)
      Append(readers_.at(request->stream), std::span(request->ids).last(1), request->limit);
  }
}

void ModelDrafter::Forget(uint64_t stream) {
  const auto at = readers_.find(stream);
  if (at == readers_.end()) return;
  cache_.Release(at->second.pages);
  readers_.erase(at);
}

ModelDrafter::Reader& ModelDrafter::ReaderOf(const DraftRequest& request) {
  const auto [at, is_new] = readers_.try_emplace(request.stream);
  Reader& reader = at->second;
  if (is_new) {
    const auto prefix = request.tokens.first(SharedTokens(request));
    const auto known = static_cast<size_t>(cache_.Adopt(reader.pages, prefix));
    reader.read.assign(prefix.begin(), prefix.begin() + static_cast<std::ptrdiff_t>(known));
  }
  return reader;
}

void ModelDrafter::GiveUp(Reader& reader) {
  cache_.Release(reader.pages);
  reader.read.clear();
  reader.given_up = true;
}

int64_t ModelDrafter::CatchUp(DraftRequest& request, int64_t share) {
  Reader& reader = ReaderOf(request);
  const int64_t size = std::ssize(request.tokens);
  if (reader.given_up || share <= 0) return 0;
  // What was guessed and not said is no part of the text. The last token is read in any case.
  const auto differs = std::ranges::mismatch(reader.read, request.tokens).in1;
  reader.read.erase(differs, reader.read.end());
  if (std::ssize(reader.read) == size) reader.read.pop_back();
  const auto unread = request.tokens.subspan(reader.read.size());
  const auto lacks = [this](int32_t id) { return id >= model_.config.vocab; };
  const bool is_long = size + request.most > model_.config.max_positions;
  if (is_long || std::ranges::any_of(unread, lacks)) {
    GiveUp(reader);
    return 0;
  }
  if (!cache_.Extend(reader.pages, size + request.most)) return 0;
  const int64_t count = std::min(std::ssize(unread), share);
  Append(reader, unread.first(static_cast<size_t>(count)), request.limit);
  if (count == std::ssize(unread))
    asked_.push_back(&request);
  else
    rows_.pop_back();
  return count;
}

void ModelDrafter::Append(Reader& reader, std::span<const int32_t> ids, int64_t limit) {
  const auto first = static_cast<int32_t>(reader.read.size());
  AttentionLayout& layout = batch_.layout;
  layout.runs.push_back({static_cast<int32_t>(batch_.tokens()), static_cast<int32_t>(ids.size()),
                         first, static_cast<int32_t>(layout.block_rows.size())});
  batch_.lengths.push_back(static_cast<int32_t>(limit));
  for (const int32_t page : reader.pages.pages)
    layout.block_rows.push_back(page * static_cast<int32_t>(kPageTokens));
  for (const int32_t id : ids) {
    batch_.ids.push_back(id);
    batch_.positions.push_back(static_cast<int32_t>(reader.read.size()));
    cache_.view().rows.push_back(reader.pages.RowOf(std::ssize(reader.read)));
    reader.read.push_back(id);
  }
  rows_.push_back(static_cast<int32_t>(batch_.tokens()) - 1);
}

void ModelDrafter::Step() {
  Context context{model_.backend};
  const Var hidden = model_.Hidden(context, {batch_, adapter_, &cache_.view()});
  if (asked_.empty()) return;
  const auto vocab = static_cast<size_t>(model_.config.vocab);
  logits_.resize(rows_.size() * vocab);
  model_.backend.CopyFloats(model_.Logits(context, adapter_, hidden, rows_), logits_);
  for (size_t i = 0; i < asked_.size(); ++i)
    Guess(*asked_[i], std::span(logits_).subspan(i * vocab, ids_));
}

void ModelDrafter::Guess(DraftRequest& request, std::span<const float> logits) {
  const size_t position = request.tokens.size() + request.ids.size();
  Reader& reader = readers_.at(request.stream);
  try {
    request.ids.push_back(sampler_.Sample(logits, *request.sampling, position));
  } catch (const Error& error) {
    if (error.kind() == Error::Kind::kBug) throw;
    request.ids.clear();
    GiveUp(reader);
    return;
  }
  // The first guess follows what was said: whole pages of the prompt are read by now.
  if (request.ids.size() == 1)
    cache_.Share(reader.pages, request.tokens.first(SharedTokens(request)));
}

}  // namespace retort
