// SPDX-License-Identifier: Apache-2.0
// Examples of any number, held compactly in memory or in a file.
#pragma once

#include <cstddef>
#include <iterator>
#include <memory>
#include <span>
#include <vector>

#include "base/file_reader.h"
#include "data/example.h"

namespace retort {

// Note [Words]. An example is held as words of 32 bits, little-endian: its row, where its answer
// begins, its flags, and a word for each token: the id, with the highest bit set if the label is
// the id too. Where a label is neither the id nor kNoLoss, a flag says so, and the labels follow.
// A list is the words of all examples, one after the other, and a word for each example, with its
// number of tokens and the flags that say where the next one begins (ExampleSize). So four bytes a
// token are held, and of a list in a file only four bytes an example are in memory.
class ExampleSize {
 public:
  explicit ExampleSize(const Example& example);
  explicit ExampleSize(uint32_t word) : word_(word) {}
  uint32_t word() const { return word_; }
  int64_t tokens() const { return word_ & kTokens; }
  bool joined() const { return (word_ & kJoined) != 0; }
  bool own_labels() const { return (word_ & kOwnLabels) != 0; }
  int64_t words() const;  // of the example

 private:
  static constexpr uint32_t kJoined = 1u << 31, kOwnLabels = 1u << 30, kTokens = kOwnLabels - 1;
  uint32_t word_;
};

// Appends the example's words.
void AppendWords(const Example& example, std::vector<uint32_t>& words);

// An immutable list; copies share its content. Reading is thread-safe.
class Examples {
 public:
  Examples() = default;
  // A copy of these. Implicit, so that a few examples can be made by hand.
  Examples(const std::vector<Example>& examples);  // NOLINT(google-explicit-constructor)
  // Of their words, and of each one's size.
  Examples(std::vector<uint32_t> words, std::vector<uint32_t> sizes);
  // The words begin at the file's byte `begin`.
  Examples(std::shared_ptr<const FileReader> file, uint64_t begin, std::vector<uint32_t> sizes);

  int64_t size() const;
  bool empty() const { return size() == 0; }
  int64_t tokens(int64_t i) const { return SizeAt(i).tokens(); }
  bool joined(int64_t i) const { return SizeAt(i).joined(); }
  // How many are joined to the one before them.
  int64_t CountJoined() const;
  // Reads one.
  Example operator[](int64_t i) const;
  Example front() const { return (*this)[0]; }
  // A copy of the first ones, at most `count`.
  std::vector<Example> First(int64_t count) const;

  // Reads one after the other; a file in large pieces.
  class Iterator;
  Iterator begin() const;
  std::default_sentinel_t end() const { return {}; }

 private:
  struct Content;
  ExampleSize SizeAt(int64_t i) const;
  // The words of `count` of them.
  std::vector<uint32_t> Words(int64_t first, int64_t count) const;

  std::shared_ptr<const Content> content_;
};

class Examples::Iterator {
 public:
  using value_type = Example;              // NOLINT: the library's names
  using difference_type = std::ptrdiff_t;  // NOLINT

  explicit Iterator(const Examples& list) : list_(list) { Load(); }
  const Example& operator*() const { return now_; }
  const Example* operator->() const { return &now_; }
  Iterator& operator++();
  void operator++(int) { ++*this; }
  bool operator==(std::default_sentinel_t) const { return at_ == list_.size(); }

 private:
  void Load();

  Examples list_;
  int64_t at_ = 0, piece_end_ = 0;
  std::vector<uint32_t> piece_;  // the words of some examples up to piece_end_
  size_t next_ = 0;              // in piece_
  Example now_;
};

}  // namespace retort
