// SPDX-License-Identifier: Apache-2.0
// The time of day, for records and answers. Durations are measured with std::chrono::steady_clock.
#pragma once

#include <cstdint>
#include <string>

namespace retort {

int64_t SecondsSince1970();
std::string Rfc3339(int64_t seconds_since_1970);  // "2026-01-31T12:00:00Z"

}  // namespace retort
