// SPDX-License-Identifier: Apache-2.0
#include "data/example_list.h"

#include <algorithm>

#include "base/error.h"
#include "data/example_hash.h"

namespace retort {
namespace {

constexpr size_t kHead = 3;        // words before the tokens
constexpr int64_t kBlock = 64;     // examples between two that the place of is known
constexpr int64_t kPiece = 16384;  // words that an iterator reads at once, at least

constexpr uint32_t kLearnt = 1u << 31;  // of a token's word
constexpr uint32_t kGenerated = 1, kUnwanted = 2;

uint32_t Word(int64_t value, const char* what) {
  RETORT_CHECK(value >= 0 && value < kLearnt, what, " ", value);
  return static_cast<uint32_t>(value);
}

bool HasOwnLabels(const Example& e) {
  RETORT_CHECK(e.labels.size() == e.ids.size(), "an example of ", e.ids.size(), " tokens with ",
               e.labels.size(), " labels");
  for (size_t i = 0; i < e.ids.size(); ++i) {
    if (e.labels[i] != e.ids[i] && e.labels[i] != kNoLoss) return true;
  }
  return false;
}

Example ExampleOf(std::span<const uint32_t> words, ExampleSize size, int64_t index) {
  Example out;
  out.index = index;
  out.row = words[0];
  out.answer = words[1];
  out.generated = (words[2] & kGenerated) != 0;
  out.wanted = (words[2] & kUnwanted) == 0;
  out.joined = size.joined();
  const auto tokens = static_cast<size_t>(size.tokens());
  out.ids.reserve(tokens);
  out.labels.reserve(tokens);
  for (const uint32_t word : words.subspan(kHead, tokens)) {
    const auto id = static_cast<int32_t>(word & ~kLearnt);
    out.ids.push_back(id);
    out.labels.push_back(word & kLearnt ? id : kNoLoss);
  }
  if (size.own_labels()) std::ranges::copy(words.subspan(kHead + tokens), out.labels.begin());
  return out;
}

}  // namespace

int64_t Example::LossTokens() const {
  if (labels.empty()) return 0;
  return static_cast<int64_t>(labels.size() - 1) -
         std::count(labels.begin() + 1, labels.end(), kNoLoss);
}

ExampleHash HashOf(const Example& example) {
  std::vector<int32_t> words = example.ids;
  words.insert(words.end(), example.labels.begin(), example.labels.end());
  const std::string hex = Sha256(std::as_bytes(std::span(words)));
  const auto digit = [&](size_t i) { return hex[i] <= '9' ? hex[i] - '0' : hex[i] - 'a' + 10; };
  ExampleHash out;
  for (size_t i = 0; i < out.size(); ++i)
    out[i] = static_cast<std::byte>(digit(2 * i) << 4 | digit(2 * i + 1));
  return out;
}

ExampleSize::ExampleSize(const Example& example)
    : word_(static_cast<uint32_t>(example.ids.size()) | (example.joined ? kJoined : 0) |
            (HasOwnLabels(example) ? kOwnLabels : 0)) {
  RETORT_CHECK(example.ids.size() <= kTokens, "an example of ", example.ids.size(), " tokens");
}

int64_t ExampleSize::words() const {
  return static_cast<int64_t>(kHead) + tokens() * (own_labels() ? 2 : 1);
}

void AppendWords(const Example& e, std::vector<uint32_t>& words) {
  const bool own = ExampleSize(e).own_labels();
  words.push_back(Word(e.row, "row"));
  words.push_back(Word(e.answer, "answer"));
  words.push_back((e.generated ? kGenerated : 0) | (e.wanted ? 0 : kUnwanted));
  for (size_t i = 0; i < e.ids.size(); ++i) {
    const bool learnt = !own && e.labels[i] != kNoLoss;
    words.push_back(Word(e.ids[i], "id") | (learnt ? kLearnt : 0));
  }
  if (!own) return;
  for (const int32_t label : e.labels) words.push_back(static_cast<uint32_t>(label));
}

struct Examples::Content {
  std::vector<uint32_t> sizes;
  std::vector<uint64_t> starts;  // the first word of each block
  std::vector<uint32_t> words;   // if there is no file
  std::shared_ptr<const FileReader> file;
  uint64_t begin = 0;  // in the file

  explicit Content(std::vector<uint32_t> given) : sizes(std::move(given)) {
    uint64_t at = 0;
    for (size_t i = 0; i < sizes.size(); ++i) {
      if (i % kBlock == 0) starts.push_back(at);
      at += static_cast<uint64_t>(ExampleSize(sizes[i]).words());
    }
  }
  uint64_t Start(int64_t i) const {
    const int64_t block = i / kBlock;
    uint64_t at = starts[static_cast<size_t>(block)];
    for (int64_t j = block * kBlock; j < i; ++j) at += Count(j, 1);
    return at;
  }
  uint64_t Count(int64_t first, int64_t count) const {
    int64_t words = 0;
    for (int64_t i = first; i < first + count; ++i)
      words += ExampleSize(sizes[static_cast<size_t>(i)]).words();
    return static_cast<uint64_t>(words);
  }
};

Examples::Examples(std::vector<uint32_t> words, std::vector<uint32_t> sizes) {
  auto content = std::make_shared<Content>(std::move(sizes));
  content->words = std::move(words);
  content_ = std::move(content);
}

Examples::Examples(std::shared_ptr<const FileReader> file, uint64_t begin,
                   std::vector<uint32_t> sizes) {
  auto content = std::make_shared<Content>(std::move(sizes));
  content->file = std::move(file);
  content->begin = begin;
  content_ = std::move(content);
}

Examples::Examples(const std::vector<Example>& examples) {
  std::vector<uint32_t> words, sizes;
  sizes.reserve(examples.size());
  for (const Example& e : examples) {
    AppendWords(e, words);
    sizes.push_back(ExampleSize(e).word());
  }
  *this = Examples(std::move(words), std::move(sizes));
}

int64_t Examples::size() const { return content_ ? std::ssize(content_->sizes) : 0; }

ExampleSize Examples::SizeAt(int64_t i) const {
  RETORT_CHECK(i >= 0 && i < size(), "example ", i, " of ", size());
  return ExampleSize(content_->sizes[static_cast<size_t>(i)]);
}

int64_t Examples::CountJoined() const {
  int64_t count = 0;
  for (int64_t i = 0; i < size(); ++i) count += joined(i);
  return count;
}

std::vector<uint32_t> Examples::Words(int64_t first, int64_t count) const {
  const Content& c = *content_;
  const uint64_t begin = c.Start(first), size = c.Count(first, count);
  if (!c.file) {
    const auto at = c.words.begin() + static_cast<std::ptrdiff_t>(begin);
    return {at, at + static_cast<std::ptrdiff_t>(size)};
  }
  std::vector<uint32_t> words(size);
  c.file->Read(c.begin + 4 * begin, std::as_writable_bytes(std::span(words)));
  return words;
}

Example Examples::operator[](int64_t i) const {
  const ExampleSize size = SizeAt(i);
  return ExampleOf(Words(i, 1), size, i);
}

std::vector<Example> Examples::First(int64_t count) const {
  std::vector<Example> out;
  const int64_t some = std::min(count, size());
  out.reserve(static_cast<size_t>(some));
  for (int64_t i = 0; i < some; ++i) out.push_back((*this)[i]);
  return out;
}

Examples::Iterator Examples::begin() const { return Iterator(*this); }

Examples::Iterator& Examples::Iterator::operator++() {
  ++at_;
  Load();
  return *this;
}

void Examples::Iterator::Load() {
  if (at_ == list_.size()) return;
  if (at_ == piece_end_) {
    int64_t words = 0;
    while (piece_end_ < list_.size() && words < kPiece) words += list_.SizeAt(piece_end_++).words();
    piece_ = list_.Words(at_, piece_end_ - at_);
    next_ = 0;
  }
  const ExampleSize size = list_.SizeAt(at_);
  const auto words = static_cast<size_t>(size.words());
  now_ = ExampleOf(std::span(piece_).subspan(next_, words), size, at_);
  next_ += words;
}

}  // namespace retort
