// SPDX-License-Identifier: Apache-2.0
// Turns rows into a set of examples: makes them in parallel, and takes them up in their order.
#include <algorithm>

#include "base/error.h"
#include "base/sha256.h"
#include "base/user_folder.h"
#include "data/example_cache.h"
#include "data/row_maker.h"

namespace retort {
namespace {

constexpr int64_t kMostFaults = 10000;  // after which no more are looked for
constexpr int64_t kRowsAtOnce = 4096, kBytesAtOnce = int64_t{8} << 20;  // made, then taken up
constexpr int64_t kRowsAThread = 32;  // fewer are made sooner than a thread is started

void AddCounts(ExampleSet& set, int64_t max_tokens) {
  const auto note = [&](int64_t count, std::string_view what) {
    if (count) {
      set.notes.push_back(
          Cat(count, " of ", set.rows, " rows are over ", max_tokens, " tokens and were ", what));
    }
  };
  note(set.dropped, "left out");
  note(set.truncated, "cut short");
  note(set.split, "split");
}

// Takes up made rows in their order.
class ExampleCollector {
 public:
  ExampleCollector(const ExampleOptions& options, Auditor& auditor, ExampleWriter& writer,
                   int32_t vocab)
      : options_(options),
        auditor_(auditor),
        writer_(writer),
        occurs_(static_cast<size_t>(vocab)) {}

  void Take(const MadeRow& row) {
    set_.dropped += row.dropped;
    if (row.dropped) return;
    rewritten_ += row.rewritten;
    auditor_.AddRow(row.place, row.same);
    bool over = false, without_loss = false;
    for (const MadeRow::Answer& answer : row.answers) {
      auditor_.Add(row.place, answer.look);
      over |= answer.over;
      for (const Example& part : answer.parts) {
        if (part.LossTokens() > 0) continue;
        auditor_.NoLoss(row.place, answer.had_loss);
        without_loss = true;
      }
    }
    (options_.over_length == OverLength::kTruncate ? set_.truncated : set_.split) += over;
    set_.without_loss += without_loss;
    if (without_loss && row.place.kind != RowFormat::kTokens) return;
    for (const MadeRow::Answer& answer : row.answers) {
      for (size_t p = 0; p < answer.parts.size(); ++p) Keep(answer.parts[p], answer.hashes[p]);
    }
  }

  int64_t rewritten() const { return rewritten_; }  // rows
  int64_t examples() const { return examples_; }

  // The set without its examples and notes.
  ExampleSet Finish() {
    set_.hash = hash_.Hex();
    set_.distinct_ids = std::ranges::count(occurs_, true);
    return std::move(set_);
  }

 private:
  void Keep(const Example& example, const ExampleHash& hash) {
    ++examples_;
    set_.tokens += example.size();
    set_.loss_tokens += example.LossTokens();
    for (const int32_t id : example.ids) occurs_[static_cast<size_t>(id)] = true;
    hash_.Add(hash);
    hash_.Add(std::as_bytes(std::span(example.joined ? "+" : " ", 1)));
    writer_.Add(example);
  }

  const ExampleOptions& options_;
  Auditor& auditor_;
  ExampleWriter& writer_;
  ExampleSet set_;
  int64_t examples_ = 0, rewritten_ = 0;
  std::vector<bool> occurs_;  // by id
  Sha256Sum hash_;
};

// Makes all rows, some of them at once, each such part in parallel.
RowFaults MakeAll(const Rows& rows, const RowMaker& maker, const ExampleWork& work,
                  ThreadPool& pool, ExampleCollector& collector) {
  RowFaults faults;
  int64_t left = kMostFaults;
  for (int64_t begin = 0, end = 0; begin < rows.size() && left > 0; begin = end) {
    for (int64_t bytes = 0; end < rows.size() && end - begin < kRowsAtOnce && bytes < kBytesAtOnce;)
      bytes += rows.Bytes(end++);
    std::vector<MadeRow> made(static_cast<size_t>(end - begin));
    pool.For(end - begin,
             [&](int64_t i, int) { made[static_cast<size_t>(i)] = maker.Make(begin + i); });
    rows.Drop(begin, end - 1);
    for (const MadeRow& row : made) {
      if (row.fault.empty()) {
        collector.Take(row);
      } else if (left > 0) {
        faults.Add(row.place.where, row.fault);
        --left;
      }
    }
    if (work.on_progress) work.on_progress(end, rows.size());
  }
  return faults;
}

// Where the examples of these rows go: not to a file if they are few.
class Destination {
 public:
  Destination(const Rows& rows, const ExampleWork& work) : work_(work) {
    int64_t bytes = 0;
    for (size_t s = 0; s < rows.sources().size(); ++s) bytes += std::ssize(rows.File(s).bytes());
    many_ = bytes >= work.cached_rows;
  }
  bool MayBeCached() const { return many_ && !work_.cache.empty(); }
  ExampleWriter Writer(const std::string& key, int64_t rows) const {
    if (!many_) return {Path(), "", rows};
    if (key.empty() || !work_.keep || !IsOwnFolder(work_.cache))
      return {std::filesystem::temp_directory_path(), "", rows};
    RemoveOldCaches(work_.cache);
    return {work_.cache, key, rows};
  }

 private:
  const ExampleWork& work_;
  bool many_ = false;
};

}  // namespace

ExampleSet MakeExamples(const Rows& rows, const Tokenizer& tokenizer, const ChatTemplate* chat,
                        const ExampleOptions& options, const ExampleWork& work) {
  if (options.max_tokens < 2) throw InputError("data.max_tokens must be at least 2");
  const Destination destination(rows, work);
  const int threads = ThreadsFor(work.threads);
  ThreadPool pool(static_cast<int>(std::clamp<int64_t>(rows.size() / kRowsAThread, 1, threads)));
  std::string key;
  if (destination.MayBeCached()) {
    key = ExampleKey(rows, tokenizer, chat, options, pool);
    if (auto set = ReadExampleCache(work.cache, key, pool, work.keep)) return std::move(*set);
  }
  Auditor auditor(tokenizer, options);
  ExampleWriter writer = destination.Writer(key, rows.size());
  ExampleCollector collector(options, auditor, writer, tokenizer.vocab_size());
  const RowMaker maker(rows, tokenizer, chat, options, auditor);
  RowFaults faults = MakeAll(rows, maker, work, pool, collector);
  ExampleSet set = collector.Finish();
  set.rows = rows.size();
  auditor.Judge(rows, set.notes, faults);
  if (!faults.empty()) faults.Throw(rows.size(), set.notes);
  if (const std::string note = rows.UnreadNote(); !note.empty()) set.notes.push_back(note);
  AddCounts(set, options.max_tokens);
  if (collector.rewritten() > 0) {
    set.notes.push_back(Cat("in ", collector.rewritten(), " of ", set.rows,
                            " rows the chat template rewrites earlier answers (it takes their "
                            "thoughts out, for example), so these are read but carry no loss"));
  }
  if (collector.examples() == 0) {
    throw InputError(rows.Where(0), ": no row is left to train on: of ", set.rows, ", ",
                     set.dropped, " are over ", options.max_tokens, " tokens and ",
                     set.without_loss, " carry no loss");
  }
  writer.Finish(set);
  return set;
}

}  // namespace retort
