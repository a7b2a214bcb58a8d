// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"

#include <cerrno>
#include <system_error>

#include "base/text.h"

namespace retort {

Error::Error(Kind kind, std::string_view message)
    : std::runtime_error(OneLine(message)), kind_(kind) {}

std::string ErrnoText() { return std::generic_category().message(errno); }

void ThrowBug(const char* file, int line, const char* condition, const std::string& detail) {
  const std::string_view path(file);
  const size_t slash =
      path.rfind('/', path.rfind('/') == std::string_view::npos ? 0 : path.rfind('/') - 1);
  const auto place = slash == std::string_view::npos ? path : path.substr(slash + 1);
  throw Error(Error::Kind::kBug, Cat("internal error at ", place, ":", line, ": ", condition,
                                     detail.empty() ? "" : " does not hold: ", detail));
}

}  // namespace retort
