// SPDX-License-Identifier: Apache-2.0
// What a run's report says beside its metrics.
#pragma once

#include <string>
#include <vector>

#include "data/example_list.h"
#include "train/report.h"

namespace retort {

// `description`: TrainingSession::Describe. `examples`: the training rows.
ReportAbout AboutRun(const std::vector<std::string>& description, const Examples& examples);

// "Intel(R) Xeon(R) Platinum 8481C, 2 processors, 15.6 GiB, Linux 6.1.0"
std::string MachineText();

}  // namespace retort
