// SPDX-License-Identifier: Apache-2.0
#include "runner/engine/request_group.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/runner/engine/faulty_backend.h"
#include "tests/support/random_model.h"
#include "tests/tokenizer/byte_tokenizer.h"

namespace retort {
namespace {

class RequestGroupTest : public testing::Test {
 protected:
  static GenerationRequest Asking(std::vector<int32_t> prompt, int64_t max_tokens) {
    GenerationRequest request;
    request.prompt = std::move(prompt);
    request.sampling.max_tokens = max_tokens;
    request.sampling.ignore_eos = true;
    return request;
  }

  const ByteTokenizer tokenizer_;
  FaultyBackend backend_{tokenizer_.vocab_size()};
  const std::unique_ptr<Model> model_ =
      RandomModel(SmallConfig(tokenizer_.vocab_size()), 4, backend_, 3);
  Engine engine_{*model_, nullptr, tokenizer_, {}};
};

TEST_F(RequestGroupTest, CountsThoseThatHaveEnded) {
  RequestGroup group(engine_);
  group.Submit(Asking({1, 2}, 2));
  group.Submit(Asking({3}, 5));
  GenerationRequest ended = Asking({4}, 50);
  ended.on_event = [](const GenerationEvent&) { return false; };
  group.Submit(std::move(ended));
  std::vector<int64_t> progress;
  group.Run([&](int64_t done) { progress.push_back(done); });
  EXPECT_EQ(group.ended(), 3);
  EXPECT_EQ(progress.front(), 1);
  EXPECT_EQ(progress.back(), 3);
  EXPECT_TRUE(std::ranges::is_sorted(progress));
  EXPECT_EQ(progress.size(), 5u);
}

TEST_F(RequestGroupTest, ThrowsWhatOneFailsWithAndLeavesNoneBehind) {
  {
    RequestGroup group(engine_);
    group.Submit(Asking({1, 2}, 50));
    GenerationRequest failing = Asking({FaultyBackend::kNotANumber}, 5);
    failing.on_event = [](const GenerationEvent&) {
      ADD_FAILURE() << "an answer of a request that fails";
      return true;
    };
    group.Submit(std::move(failing));
    EXPECT_THROW(group.Run(), Error);
    EXPECT_EQ(engine_.counts().live, 1);
  }
  EXPECT_EQ(engine_.counts().live + engine_.counts().queued, 0);
  EXPECT_FALSE(engine_.Step());
}

}  // namespace
}  // namespace retort
