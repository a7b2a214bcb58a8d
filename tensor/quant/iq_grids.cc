// SPDX-License-Identifier: Apache-2.0
#include "tensor/quant/iq_grids.h"

#include "tensor/quant/iq_points.h"

namespace retort {

constinit const std::array<uint64_t, 256> kIq2XxsGrid =
    Points<uint64_t, 256>(kIq2XxsText, kIq2Levels);
constinit const std::array<uint64_t, 512> kIq2XsGrid =
    Points<uint64_t, 512>(kIq2XsText, kIq2Levels);
constinit const std::array<uint64_t, 1024> kIq2SGrid =
    Points<uint64_t, 1024>(kIq2SText, kIq2Levels);
constinit const std::array<uint32_t, 256> kIq3XxsGrid =
    Points<uint32_t, 256>(kIq3XxsText, kIq3XxsLevels);
constinit const std::array<uint32_t, 512> kIq3SGrid = Points<uint32_t, 512>(kIq3SText, kIq3SLevels);
constinit const std::array<uint64_t, 2048> kIq1Grid = Points<uint64_t, 2048>(kIq1Text, kIq1Levels);

}  // namespace retort
