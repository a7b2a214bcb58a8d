// SPDX-License-Identifier: Apache-2.0
#include "bench/load/page.h"

#include <algorithm>
#include <iterator>
#include <optional>

#include "base/strings.h"
#include "train/html_page.h"
#include "train/plot.h"

namespace retort {
namespace {

constexpr const char* kColours[] = {"#4a7bd0", "#e8963e", "#3f9e6b", "#b0569b", "#8a8f98"};

std::string ShortUrl(const std::string& url) { return url.substr(url.find("//") + 2); }

// Whether all levels with answers have a p95.
bool HaveP95(const std::vector<LoadedServer>& servers, Percentiles LoadResult::*times) {
  return std::ranges::all_of(servers, [&](const LoadedServer& server) {
    return std::ranges::all_of(server.results, [&](const LoadResult& r) {
      return r.answered == 0 || (r.*times).p95.has_value();
    });
  });
}

// One of the times of all servers, in milliseconds against tokens per second: p95, or the median if
// levels have too few requests for that.
std::string TimesPlot(const std::vector<LoadedServer>& servers, const std::string& title,
                      Percentiles LoadResult::*times) {
  const bool p95 = HaveP95(servers, times);
  const auto share = p95 ? &Percentiles::p95 : &Percentiles::p50;
  std::vector<PlotCurve> curves;
  curves.reserve(servers.size());
  for (const LoadedServer& server : servers) {
    PlotCurve curve{ShortUrl(server.url), kColours[curves.size() % std::size(kColours)], {}, true};
    for (const LoadResult& r : server.results) {
      const std::optional<double> time = r.*times.*share;
      if (time) curve.points.push_back({r.tokens_per_second, 1000 * *time});
    }
    curves.push_back(std::move(curve));
  }
  Plot plot(std::move(curves), true);
  plot.Across("tokens/s");
  for (const LoadedServer& server : servers) {
    const LoadResult& knee = server.results[KneeOf(server.results)];
    const std::string whose = servers.size() > 1 ? ShortUrl(server.url) + ": " : "knee: ";
    plot.Mark(knee.tokens_per_second, whose + LevelName(knee.level));
  }
  return plot.Svg(Cat(title, ", ms, ", p95 ? "p95" : "p50"));
}

std::string Cell(const std::string& text) {
  return Cat("<td class=\"number\">", EscapedHtml(text), "</td>");
}

std::string TimesCell(const Percentiles& p) { return Cell(PercentilesText(p, 1000)); }

std::string ServerTable(const LoadedServer& server) {
  std::string rows;
  const size_t knee = KneeOf(server.results);
  for (size_t i = 0; i < server.results.size(); ++i) {
    const LoadResult& r = server.results[i];
    rows += Cat("<tr><td>", LevelName(r.level), i == knee ? " (knee)" : "", "</td>",
                Cell(ShortNumber(r.tokens_per_second)), Cell(ShortNumber(r.requests_per_second)),
                TimesCell(r.first), TimesCell(r.between), TimesCell(r.each), TimesCell(r.whole),
                Cell(ShortNumber(r.prompt_tokens)), Cell(ShortNumber(r.answer_tokens)),
                Cell(r.failed > 0 ? Cat(r.failed, " failed: ", r.fault) : ""), "</tr>\n");
  }
  return Cat("<h2>", EscapedHtml(server.url), ", ", EscapedHtml(server.model),
             "</h2>\n<table><tr><th>load</th><th class=\"number\">tokens/s</th>"
             "<th class=\"number\">requests/s</th><th class=\"number\">first token</th>"
             "<th class=\"number\">between texts</th><th class=\"number\">each token</th>"
             "<th class=\"number\">whole answer</th>"
             "<th class=\"number\">prompt</th><th class=\"number\">answer</th><th></th></tr>\n",
             rows, "</table>\n");
}

}  // namespace

std::string LevelName(const LoadLevel& level) {
  if (level.clients == 0) return ShortNumber(level.rate) + " requests/s";
  return Cat(level.clients, level.clients == 1 ? " client" : " clients");
}

std::string PercentilesText(const Percentiles& p, double scale) {
  const auto text = [&](const std::optional<double>& value) {
    return value ? ShortNumber(scale * *value) : "-";
  };
  return Cat(text(p.p50), " / ", text(p.p95), " / ", text(p.p99));
}

std::string LoadPage(const std::vector<LoadedServer>& servers, const std::string& status) {
  std::string body;
  const auto plot = [&](const char* title, Percentiles LoadResult::*times) {
    body += TimesPlot(servers, title, times);
  };
  plot("Time to the first token", &LoadResult::first);
  plot("Time between texts", &LoadResult::between);
  plot("Whole answer", &LoadResult::whole);
  for (const LoadedServer& server : servers) body += ServerTable(server);
  body +=
      "<p>Times are p50 / p95 / p99 in milliseconds, - where there are too few requests. The time "
      "of each token is an answer's mean, however many tokens a text holds. The knee is the load "
      "with the most tokens a second for the median time of an answer.</p>\n";
  return HtmlPage("Servers under load", status, "", body);
}

}  // namespace retort
