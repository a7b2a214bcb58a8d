// SPDX-License-Identifier: Apache-2.0
#include "train/report.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "train/plot.h"

namespace retort {
namespace {

MetricsLine StepLine(int64_t step, double loss) {
  MetricsLine line;
  line.metrics.step = step;
  line.metrics.loss = loss;
  line.metrics.seconds = 2;
  line.tokens_per_second = 100;
  return line;
}

MetricsLine EvaluationLine(int64_t step, double loss, double exact) {
  MetricsLine line;
  line.metrics.step = step;
  line.eval_loss = loss;
  line.metrics.extras = {{"exact", exact}};
  return line;
}

bool Has(const std::string& page, const std::string& text) {
  return page.find(text) != std::string::npos;
}

class ReportTest : public ::testing::Test {
 protected:
  std::string Page(std::vector<MetricsLine> metrics, const Json& summary = nullptr) const {
    return ReportPage(
        {.title = "a <run>",
         .status = "under way",
         .metrics = std::move(metrics),
         .start = EvaluationPoint{0, 4.5, {{"exact", 0.125}}},
         .samples = {{0, {"a:1", "ask", "yes", "no"}}, {2, {"a:1", "ask", "yes", "yes"}}},
         .best_step = 2,
         .about = about_,
         .runs = {},
         .recipe = recipe_,
         .summary = summary});
  }
  const ReportAbout about_ = {{{"machine", "two cores & more"}}, {"a:7: cut"}, {{"8 to 15", 3}}};
  const Json recipe_ = {{"train", {{"lr", 0.001}}}};
};

TEST_F(ReportTest, ShowsWhatARunIsAbout) {
  const std::string page = Page({StepLine(1, 5), StepLine(2, 0.5), EvaluationLine(2, 0.75, 0.5)});
  EXPECT_TRUE(Has(page, "a &lt;run"));
  EXPECT_TRUE(Has(page, "http-equiv=\"refresh\""));
  EXPECT_TRUE(Has(page, "0.75</b><span>held-out loss at step 2; 4.5 before"));
  EXPECT_TRUE(Has(page, "0.5</b><span>held-out exact at step 2; 0.125 before"));
  EXPECT_TRUE(Has(page, ">best</text>"));
  EXPECT_TRUE(Has(page, "two cores &amp; more"));
  EXPECT_TRUE(Has(page, "a:7: cut"));
  EXPECT_TRUE(Has(page, "8 to 15 tokens"));
  EXPECT_TRUE(Has(page, "<td>no</td><td>✓ yes</td>"));
  EXPECT_TRUE(Has(page, "train.lr"));
  EXPECT_FALSE(Has(page, "<script"));
  EXPECT_FALSE(Has(Page({StepLine(1, 5)}, Json::object()), "http-equiv=\"refresh\""));
}

TEST_F(ReportTest, BeforeTheFirstStepThereIsNoPlot) {
  const std::string page = Page({});
  EXPECT_FALSE(Has(page, "<svg"));
  EXPECT_TRUE(Has(page, "two cores"));
}

TEST(Plot, AnAxisOfValuesFarApartIsLogarithmic) {
  std::vector<PlotPoint> points;
  for (int i = 1; i <= 200; ++i) points.push_back({double(i), 10.0 / i});
  EXPECT_TRUE(Has(Plot({{"", "#000", points}}, true).Svg("a"), "logarithmic"));
  EXPECT_FALSE(Has(Plot({{"", "#000", points}}).Svg("a"), "logarithmic"));
  points[50].y = 0;  // a single step without a loss
  const std::string svg = Plot({{"", "#000", points}}, true).Svg("a");
  EXPECT_TRUE(Has(svg, "logarithmic"));
  EXPECT_FALSE(Has(svg, "nan"));
  EXPECT_FALSE(Has(svg, "inf"));
  points[50].y = -1;
  EXPECT_FALSE(Has(Plot({{"", "#000", points}}, true).Svg("a"), "logarithmic"));
}

class RunsBesideTest : public ::testing::Test {
 protected:
  ~RunsBesideTest() override { std::filesystem::remove_all(folder_); }
  void Put(const char* name, const Json& recipe, const std::string& metrics) {
    MakeFolders(folder_ / name);
    WriteTextAtomically(folder_ / name / "recipe.json", DumpJson(recipe));
    WriteTextAtomically(folder_ / name / "metrics.jsonl", metrics);
  }
  static Json Recipe(const char* rows, double lr) {
    return {{"name", "x"}, {"data", {{"train", rows}}}, {"train", {{"lr", lr}, {"keep", lr}}}};
  }
  static std::string Metrics(double eval_loss) {
    return Cat(R"({"step":1,"loss":2,"ce":2,"kd":0,"lr":1,"grad_norm":1,"tokens":1,)",
               R"("loss_tokens":1,"tokens_per_second":1,"peak_bytes":1,"seconds":3})", "\n",
               R"({"step":1,"epoch":1,"eval_loss":)", eval_loss, "}\n");
  }
  const Path folder_ = Path(::testing::TempDir()) / Cat("retort_beside_", ::getpid());
};

TEST_F(RunsBesideTest, ThoseOfTheSameRowsAreCompared) {
  Put("a", Recipe("rows", 0.5), Metrics(1));
  EXPECT_TRUE(RunsBeside(folder_ / "a").empty());
  Put("b", Recipe("rows", 0.25), Metrics(0.5));
  Put("c", Recipe("other rows", 0.25), Metrics(0.5));
  Put("d", Recipe("rows", 0.75), "");
  Put("e", Recipe("rows", 0.25), "no metrics\n");
  const std::vector<ComparedRun> runs = RunsBeside(folder_ / "a");
  ASSERT_EQ(runs.size(), 3u);
  EXPECT_TRUE(runs[0].own);
  EXPECT_EQ(runs[0].seconds, 3);
  EXPECT_EQ(runs[1].name, "b");
  EXPECT_EQ(runs[1].differs, "train.lr 0.25");
  EXPECT_EQ(runs[1].held_out, 0.5);
  EXPECT_EQ(runs[2].name, "d");
  EXPECT_FALSE(runs[2].held_out.has_value());
}

}  // namespace
}  // namespace retort
