#include "jobs/evaluate/html.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>

namespace paddock::evaluate {

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string base64(std::span<const std::byte> bytes) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t here = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t b = 0; b < 3; ++b)
      group = group << 8 | (b < here ? std::to_integer<std::uint32_t>(bytes[i + b]) : 0u);
    for (std::size_t d = 0; d < 4; ++d) out += d <= here ? kDigits[group >> (18 - 6 * d) & 63u] : '=';
  }
  return out;
}

std::string png_tag(std::span<const std::byte> png, std::string_view alt, std::string_view style_class) {
  std::string tag = "<img alt=\"" + escaped(alt) + "\"";
  if (!style_class.empty()) tag += " class=\"" + escaped(style_class) + "\"";
  return tag + " src=\"data:image/png;base64," + base64(png) + "\">";
}

std::string number(double value, int digits) {
  if (!std::isfinite(value)) return "–";
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  std::string out = text;
  if (out.find('.') != std::string::npos) {
    out.erase(out.find_last_not_of('0') + 1);
    if (out.back() == '.') out.pop_back();
  }
  return out == "-0" ? "0" : out;
}

namespace {

constexpr double kWidth = 640, kHeight = 260, kLeft = 56, kRight = 12, kTop = 14, kBottom = 36;

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();

  void include(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  double place(double value, double from, double to) const {
    return high > low ? from + (value - low) / (high - low) * (to - from) : (from + to) / 2;
  }
};

std::vector<std::pair<double, double>> thinned(const std::vector<std::pair<double, double>>& points) {
  constexpr std::size_t kPointsMax = 300;
  std::vector<std::pair<double, double>> finite;
  for (const auto& point : points)
    if (std::isfinite(point.first) && std::isfinite(point.second)) finite.push_back(point);
  if (finite.size() <= kPointsMax) return finite;
  std::vector<std::pair<double, double>> out;
  for (std::size_t i = 0; i < kPointsMax; ++i) {
    const std::size_t first = i * finite.size() / kPointsMax;
    const std::size_t last = (i + 1) * finite.size() / kPointsMax;
    double x = 0;
    double y = 0;
    for (std::size_t p = first; p < last; ++p) {
      x += finite[p].first;
      y += finite[p].second;
    }
    out.emplace_back(x / static_cast<double>(last - first), y / static_cast<double>(last - first));
  }
  return out;
}

// Round steps of 1, 2 or 5 times a power of ten: three to six of them.
std::vector<double> ticks(const Range& range) {
  const double span = range.high > range.low ? range.high - range.low : 1;
  double step = std::pow(10, std::floor(std::log10(span / 4)));
  for (const double factor : {5., 2.})
    if (span / (step * factor) >= 3) {
      step *= factor;
      break;
    }
  std::vector<double> out;
  for (double tick = std::ceil(range.low / step - 1e-9) * step; tick <= range.high + step * 1e-9;
       tick += step)
    out.push_back(std::abs(tick) < step * 1e-9 ? 0 : tick);
  return out;
}

std::string axes(const Range& x, const Range& y, const std::string& x_label) {
  std::string out;
  const auto digits = [](const Range& range) {
    return std::clamp(static_cast<int>(std::ceil(-std::log10(std::max(range.high - range.low, 1e-12) / 4))),
                      0, 8);
  };
  for (const double tick : ticks(y)) {
    const std::string at = number(y.place(tick, kHeight - kBottom, kTop), 1);
    out += "<line class=\"grid\" x1=\"" + number(kLeft, 0) + "\" x2=\"" + number(kWidth - kRight, 0) +
           "\" y1=\"" + at + "\" y2=\"" + at + "\"/><text text-anchor=\"end\" x=\"" + number(kLeft - 6, 0) +
           "\" y=\"" + at + "\" dy=\".35em\">" + number(tick, digits(y)) + "</text>";
  }
  for (const double tick : ticks(x))
    out += "<text text-anchor=\"middle\" x=\"" + number(x.place(tick, kLeft, kWidth - kRight), 1) +
           "\" y=\"" + number(kHeight - kBottom + 16, 0) + "\">" + number(tick, digits(x)) + "</text>";
  return out + "<text text-anchor=\"middle\" x=\"" + number((kLeft + kWidth - kRight) / 2, 0) + "\" y=\"" +
         number(kHeight - 4, 0) + "\">" + escaped(x_label) + "</text>";
}

}  // namespace

std::string svg_of(const LineChart& chart) {
  Range x;
  Range y;
  std::vector<std::vector<std::pair<double, double>>> lines;
  for (const Series& series : chart.series) {
    lines.push_back(thinned(series.points));
    for (const auto& [px, py] : lines.back()) {
      x.include(px);
      y.include(py);
    }
  }
  if (!(x.high >= x.low)) return "";
  const double margin = (y.high - y.low) * .05;
  y.low -= margin;
  y.high += margin;
  std::string svg = "<figure><svg viewBox=\"0 0 " + number(kWidth, 0) + " " + number(kHeight, 0) +
                    "\" role=\"img\" aria-label=\"" + escaped(chart.title) + "\">" +
                    axes(x, y, chart.x_label);
  for (const double mark : chart.marks) {
    if (mark < x.low || mark > x.high) continue;
    const std::string at = number(x.place(mark, kLeft, kWidth - kRight), 1);
    svg += "<line class=\"mark\" x1=\"" + at + "\" x2=\"" + at + "\" y1=\"" + number(kTop, 0) + "\" y2=\"" +
           number(kHeight - kBottom, 0) + "\"/>";
  }
  std::string legend;
  for (std::size_t s = 0; s < lines.size(); ++s) {
    if (lines[s].empty()) continue;
    const std::string color = "var(--series-" + std::to_string(s % 8) + ")";
    svg += "<polyline style=\"stroke:" + color + "\" points=\"";
    for (const auto& [px, py] : lines[s])
      svg += number(x.place(px, kLeft, kWidth - kRight), 1) + "," +
             number(y.place(py, kHeight - kBottom, kTop), 1) + " ";
    svg += "\"/>";
    legend += "<span class=\"key\"><i style=\"background:" + color + "\"></i>" +
              escaped(chart.series[s].name) + "</span> ";
  }
  if (!chart.marks.empty())
    legend += "<span class=\"key\"><i class=\"markkey\"></i>" + escaped(chart.marks_label) + "</span>";
  return svg + "</svg><figcaption><b>" + escaped(chart.title) + "</b> " + legend + "</figcaption></figure>\n";
}

}  // namespace paddock::evaluate
