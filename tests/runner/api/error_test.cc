// SPDX-License-Identifier: Apache-2.0
#include "runner/api/error.h"

#include <gtest/gtest.h>

namespace retort {
namespace {

TEST(ApiErrors, OnlyWhatIsWrongWithTheInputIsTheClients) {
  EXPECT_EQ(ApiErrorOf(InputError("no such thing")).status, 400);
  EXPECT_EQ(ApiErrorOf(Failure("the disk is full")).status, 500);
  EXPECT_EQ(ApiErrorOf(std::runtime_error("anything")).status, 500);
  const ApiError kept = ApiErrorOf(ApiError(429, "later", "n", "queue_full"));
  EXPECT_EQ(kept.status, 429);
  EXPECT_EQ(kept.param, "n");
  EXPECT_EQ(kept.code, "queue_full");
}

TEST(ApiErrors, InputErrorsNameTheMember) {
  EXPECT_EQ(AsRequestError("tools", [] { return 5; }), 5);
  try {
    AsRequestError("tools", [] { throw InputError("no such type"); });
    FAIL();
  } catch (const ApiError& e) {
    EXPECT_EQ(e.status, 400);
    EXPECT_EQ(e.param, "tools");
    EXPECT_STREQ(e.what(), "no such type");
  }
  EXPECT_THROW(AsRequestError("tools", [] { throw Failure("the disk is full"); }), Error);
}

}  // namespace
}  // namespace retort
