// SPDX-License-Identifier: Apache-2.0
#include "formats/cursor.h"

namespace retort {

Bytes Cursor::ReadBytes(uint64_t count, std::string_view what) {
  if (count > left()) {
    Fail(what, " takes ", count, " bytes, ", left(), " are left; the file is truncated or damaged");
  }
  const Bytes out = bytes_.subspan(at_, count);
  at_ += count;
  return out;
}

void Cursor::CheckCount(uint64_t count, uint64_t least_bytes, std::string_view what) const {
  if (count > left() / least_bytes) {
    Fail(what, " is ", count, ", the ", left(), " bytes left hold at most ", left() / least_bytes,
         "; the file is truncated or damaged");
  }
}

void Cursor::Throw(const std::string& problem) const {
  throw InputError(where_, ": byte ", at_, ": ", place_, place_.empty() ? "" : ": ", problem);
}

}  // namespace retort
