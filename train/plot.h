// SPDX-License-Identifier: Apache-2.0
// Curves over the steps of a run or another number, drawn as SVG.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace retort {

struct PlotPoint {
  double x, y;
};

struct PlotCurve {
  std::string name, colour;
  std::vector<PlotPoint> points;
  bool dots = false;  // each point is marked; a few of them with their values
};

class Plot {
 public:
  // The axis of y is logarithmic if `may_be_log` and the values are not negative and far apart. It
  // then leaves out the few lowest: single steps without a loss would take most of the figure.
  explicit Plot(std::vector<PlotCurve> curves, bool may_be_log = false);

  // What is on the axis of x, in place of whole steps.
  void Across(std::string name) { across_ = std::move(name); }
  // A dashed line across, with a label.
  void Mark(double x, std::string label) { marks_.emplace_back(x, std::move(label)); }
  // A figure with the title as its caption.
  std::string Svg(const std::string& title) const;

 private:
  double X(double x) const;
  double Y(double y) const;
  std::vector<double> Ticks() const;
  std::string Legend() const;
  std::string MarkLines() const;
  std::string Path(const PlotCurve& curve) const;
  std::string Dots(const PlotCurve& curve, size_t every) const;

  std::vector<PlotCurve> curves_;
  PlotPoint low_{0, 0}, high_{1, 1};
  bool log_ = false;
  std::string across_;  // "": steps
  std::vector<std::pair<double, std::string>> marks_;
};

// Text for HTML.
std::string EscapedHtml(std::string text);
// Four digits, with an exponent where it is shorter.
std::string ShortNumber(double value);

}  // namespace retort
