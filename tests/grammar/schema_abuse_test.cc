// SPDX-License-Identifier: Apache-2.0
// Schemas that are made to break the compiler, or to cost much. (What takes long shows as a test
// that does not end.)
#include "base/strings.h"
#include "tests/grammar/grammar_texts.h"

namespace retort {
namespace {

void ExpectRefused(const std::string& schema, const char* what) {
  const std::string refusal = Refusal(kSchema, schema);
  EXPECT_NE(refusal.find(what), std::string::npos) << refusal;
}

TEST(SchemaAbuse, ATextCannotHoldTheCompilersLinks) {
  ExpectRefused(R"({"\u0001schema": 0})", "U+0001");
  ExpectRefused(R"({"items": {"const": [{"\u0001schema": 7}]}})", "#/items/const/0: ");
  ExpectRefused(R"({"$ref": "#/enum/0", "enum": [{"\u0001schema": 0}]})", "U+0001");
}

}  // namespace
}  // namespace retort
