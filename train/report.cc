// SPDX-License-Identifier: Apache-2.0
#include "train/report.h"

#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "train/html_page.h"
#include "train/report_parts.h"

namespace retort {

std::string ReportPage(const ReportFacts& facts) {
  const bool finished = !facts.summary.is_null();
  return HtmlPage(
      facts.title, facts.status, finished ? "" : "<meta http-equiv=\"refresh\" content=\"20\">",
      Cat(ReportTiles(facts), ReportPlots(facts), SamplesTable(facts.samples, facts.best_step),
          NotesList(facts.about.notes), ComparisonTable(facts.runs), FactsTable(facts.about),
          finished ? JsonTable("Result", facts.summary) : std::string(),
          JsonTable("Recipe", facts.recipe)));
}

}  // namespace retort
