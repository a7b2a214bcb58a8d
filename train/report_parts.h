// SPDX-License-Identifier: Apache-2.0
// The parts of report.html, each as HTML; "" where there is nothing to show.
#pragma once

#include <string>

#include "train/report.h"

namespace retort {

// Figures at a glance: losses, metrics before and after, speed, time, memory.
std::string ReportTiles(const ReportFacts& facts);

// The loss with the held-out one, its components, further figures, gradient norm, learning rate and
// speed, over the steps.
std::string ReportPlots(const ReportFacts& facts);

// What was answered before the first step and at the best or, without that, the last evaluation.
std::string SamplesTable(const std::vector<SampleLine>& lines, int64_t best_step);

std::string NotesList(const std::vector<std::string>& notes);
std::string ComparisonTable(const std::vector<ComparedRun>& runs);
std::string FactsTable(const ReportAbout& about);
// Members of members become rows of their own.
std::string JsonTable(const std::string& title, const Json& object);

// "1:07:09", "3:04", "12 s"
std::string ReportDuration(double seconds);

}  // namespace retort
