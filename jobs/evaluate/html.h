// jobs/evaluate/html.h – the small pieces a self-contained page is made of: escaped text, pictures as data:
// URIs, and line charts as inline SVG. No scripts, nothing fetched; colours come from the page's custom
// properties, so that one page serves light and dark. Threads: pure functions.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace paddock::evaluate {

std::string escaped(std::string_view text);
std::string base64(std::span<const std::byte> bytes);

// <img> with a PNG inside. `alt` is plain text; `style_class` a class of the page's style sheet, may be
// empty.
std::string png_tag(std::span<const std::byte> png, std::string_view alt, std::string_view style_class);

// A number for people: `digits` after the point, without a tail of zeros.
std::string number(double value, int digits);

struct Series {
  std::string name;
  std::vector<std::pair<double, double>> points;  // x ascending
};

struct LineChart {
  std::string title;
  std::string x_label;
  std::vector<Series> series;  // at most eight are told apart by colour
  std::vector<double> marks;   // vertical lines: where a run was resumed
  std::string marks_label;
};

// An <svg> that scales with its container; empty when there is nothing finite to draw. Long series are
// thinned to the mean of each of about 300 equal steps of x.
std::string svg_of(const LineChart& chart);

}  // namespace paddock::evaluate
