// SPDX-License-Identifier: Apache-2.0
// retort_quickstart_data FOLDER: writes the quickstart's data, the same bytes every time.
//
//   corpus.txt, corpus.jsonl
//       Text for the tokenizer and the small base: about the same shop, with numbers repeated and
//       records copied, but without any routed message.
//   copies.jsonl
//       {"prompt": some things, "completion": the same things}
//   repeats.jsonl
//       Rows of token ids: random pieces, then the same pieces again, which carry the loss.
//   train.jsonl, eval.jsonl, test.jsonl
//       {"prompt": message, "completion": answer}
//   few.jsonl
//       The first rows of train.jsonl.
//   inbox.jsonl
//       {"prompt": message, "completion": ""}: messages as in train.jsonl, without an answer. Each
//       is followed by two damaged copies, with words removed and words of other messages inserted.
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <unordered_set>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "recipes/quickstart/corpus.h"
#include "recipes/quickstart/messages.h"

namespace retort::quickstart {
namespace {

constexpr uint64_t kSeed = 48213;
constexpr int32_t kVocabulary = 768;  // of the tokenizer that the quickstart creates
constexpr int kCorpusLines = 40000;
constexpr int kCopies = 24000;
constexpr int kRepeats = 20000;
constexpr int kTrainRows = 8000;
constexpr int kEvalRows = 300;
constexpr int kTestRows = 600;
constexpr int kFewRows = 500;
constexpr int kInboxMessages = 4000;

// Each row has its own random stream, so that adding rows does not change the others.
RandomStream StreamOf(uint64_t part, uint64_t row) {
  return RandomStream(MakeKey(kSeed, RandomUse::kData, part, row));
}

Json RowOf(const std::string& message, const std::string& answer) {
  return {{"prompt", Cat("Message: ", message, " Route:")}, {"completion", answer}};
}

void WriteRows(const Path& path, Part part, int rows) {
  AtomicFile file(path);
  std::unordered_set<std::string> seen;
  for (uint64_t draw = 0; seen.size() < static_cast<size_t>(rows); ++draw) {
    RandomStream random = StreamOf(static_cast<uint64_t>(part), draw);
    const bool sloppy = part == Part::kTrain && draw % 2 == 0;
    const Message message = MakeMessage(part, random, sloppy ? Writer::kSloppy : Writer::kCareful);
    if (!seen.insert(message.text).second) continue;
    file.Write(DumpJson(RowOf(message.text, AnswerTo(message))) + "\n");
  }
  file.Commit();
}

bool HasDigit(const std::string& word) {
  return word.find_first_of("0123456789") != std::string::npos;
}

std::string MessageWords(RandomStream& random) {
  const Writer writer = Chance(0.5, random) ? Writer::kSloppy : Writer::kCareful;
  return MakeMessage(Part::kTrain, random, writer).text;
}

// Removes each word with a probability of at most one half (one for the whole message), and inserts
// up to two runs of two to five words of other messages. Words with digits are never removed or
// inserted. The message is then ambiguous, so the router's probabilities show how it weighs words.
std::string Torn(const std::string& message, RandomStream& random) {
  const double lost = 0.5 * random.Uniform();
  std::vector<std::string> words;
  for (const std::string& word : Split(message, ' ')) {
    if (HasDigit(word) || !Chance(lost, random)) words.push_back(word);
  }
  for (uint64_t pieces = random.Below(3); pieces > 0; --pieces) {
    std::vector<std::string> other = Split(MessageWords(random), ' ');
    std::erase_if(other, HasDigit);
    const auto length = std::min<uint64_t>(other.size(), 2 + random.Below(4));
    const auto first =
        other.begin() + static_cast<int64_t>(random.Below(other.size() - length + 1));
    const auto place = words.begin() + static_cast<int64_t>(random.Below(words.size() + 1));
    words.insert(place, first, first + static_cast<int64_t>(length));
  }
  return words.empty() ? message : Join(words, " ");
}

void WriteInbox(const Path& path) {
  constexpr uint64_t kInboxPart = 103;
  AtomicFile file(path);
  for (uint64_t i = 0; i < kInboxMessages; ++i) {
    RandomStream random = StreamOf(kInboxPart, i);
    const std::string message = MessageWords(random);
    const std::string torn = Torn(message, random), torn_again = Torn(message, random);
    for (const std::string& text : {message, torn, torn_again}) {
      file.Write(DumpJson(RowOf(text, "")) + "\n");
    }
  }
  file.Commit();
}

void WriteCorpus(const Path& folder) {
  constexpr uint64_t kCorpusPart = 100;
  AtomicFile text(folder / "corpus.txt"), rows(folder / "corpus.jsonl");
  for (uint64_t line = 0; line < kCorpusLines; ++line) {
    RandomStream random = StreamOf(kCorpusPart, line);
    const std::string sentence = CorpusLine(random);
    text.Write(sentence + "\n");
    rows.Write(DumpJson(Json{{"text", sentence}}) + "\n");
  }
  text.Commit();
  rows.Commit();
}

void WriteCopies(const Path& path) {
  constexpr uint64_t kCopiesPart = 101;
  AtomicFile file(path);
  for (uint64_t i = 0; i < kCopies; ++i) {
    RandomStream random = StreamOf(kCopiesPart, i);
    const std::string things = ThingsInARow(random);
    file.Write(DumpJson(Json{{"prompt", "Copy: " + things}, {"completion", " " + things}}) + "\n");
  }
  file.Commit();
}

// A model of this size learns to attend to earlier tokens much sooner if there is nothing else to
// learn.
void WriteRepeats(const Path& path) {
  constexpr uint64_t kRepeatsPart = 102;
  // In the tokenizer, special tokens and bytes precede the pieces.
  constexpr int32_t kBos = 1, kFirstPiece = 3 + 256;
  AtomicFile file(path);
  for (uint64_t i = 0; i < kRepeats; ++i) {
    RandomStream random = StreamOf(kRepeatsPart, i);
    const uint64_t count = 6 + random.Below(35);
    // The last hundred pieces are pairs of digits, the main thing to be copied.
    const int32_t first = random.Below(3) == 0 ? kVocabulary - 148 : kFirstPiece;
    std::vector<int32_t> pieces(count);
    for (int32_t& id : pieces)
      id = first + static_cast<int32_t>(random.Below(static_cast<uint64_t>(kVocabulary - first)));
    std::vector<int32_t> ids = {kBos}, labels(count + 1, -100);
    for (int pass = 0; pass < 2; ++pass) ids.insert(ids.end(), pieces.begin(), pieces.end());
    labels.insert(labels.end(), pieces.begin(), pieces.end());
    file.Write(DumpJson(Json{{"input_ids", ids}, {"labels", labels}}) + "\n");
  }
  file.Commit();
}

void WriteAll(const Path& folder) {
  std::error_code problem;
  std::filesystem::create_directories(folder, problem);
  if (problem) throw Failure(folder.string(), ": cannot be made: ", problem.message());
  WriteCorpus(folder);
  WriteCopies(folder / "copies.jsonl");
  WriteRepeats(folder / "repeats.jsonl");
  WriteRows(folder / "train.jsonl", Part::kTrain, kTrainRows);
  WriteRows(folder / "few.jsonl", Part::kTrain, kFewRows);
  WriteInbox(folder / "inbox.jsonl");
  WriteRows(folder / "eval.jsonl", Part::kEval, kEvalRows);
  WriteRows(folder / "test.jsonl", Part::kTest, kTestRows);
}

}  // namespace
}  // namespace retort::quickstart

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: retort_quickstart_data FOLDER\n", stderr);
    return 2;
  }
  try {
    retort::quickstart::WriteAll(argv[1]);
  } catch (const retort::Error& error) {
    std::fprintf(stderr, "retort_quickstart_data: %s\n", error.what());
    return 1;
  }
}
