#include <algorithm>

#include "data/encode.h"
#include "jobs/evaluate/color_map.h"
#include "jobs/evaluate/html.h"
#include "jobs/evaluate/report.h"
#include "jobs/evaluate/report_table.h"

namespace paddock::evaluate {
namespace {

constexpr const char* kStyle = R"css(
:root { color-scheme: light dark; --ground: #fbfaf7; --text: #1d2326; --quiet: #667075; --line: #dcdad2; --good: #2c7a4b; --bad: #b1432f;
  --series-0: #2b6cb0; --series-1: #c05621; --series-2: #2f855a; --series-3: #97266d; --series-4: #6b46c1; --series-5: #b7791f;
  --series-6: #0987a0; --series-7: #9b2c2c; }
@media (prefers-color-scheme: dark) { :root { --ground: #14181a; --text: #e4e6e3; --quiet: #97a1a5; --line: #30373a; --good: #6fca92;
  --bad: #ef8a75; --series-0: #7ab8f5; --series-1: #f2a069; --series-2: #7fd3a2; --series-3: #ec86c2; --series-4: #b49cf2;
  --series-5: #ecc76a; --series-6: #66cfe0; --series-7: #f08c8c; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 70rem; padding: 1.5rem 1rem 4rem; background: var(--ground); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; border-top: 1px solid var(--line); padding-top: 1rem; }
h3 { font-size: 1rem; margin: 1.5rem 0 .5rem; } p.quiet, figcaption, small { color: var(--quiet); font-size: .875rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .35rem .7rem; border-bottom: 1px solid var(--line); vertical-align: top; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } th { font-weight: 600; font-size: .875rem; white-space: normal; }
td small { display: block; } td.best { font-weight: 700; }
figure { margin: 1rem 0; } svg { width: 100%; height: auto; display: block; } svg text { fill: var(--quiet); font: 12px system-ui, sans-serif; }
svg .grid { stroke: var(--line); } svg .mark { stroke: var(--quiet); stroke-dasharray: 4 4; } svg polyline { fill: none; stroke-width: 1.6; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 0 1.5rem; }
.key { white-space: nowrap; margin-right: .8rem; } .key i { display: inline-block; width: .8rem; height: .2rem; margin-right: .3rem; vertical-align: middle; }
.key .markkey { border-left: 2px dashed var(--quiet); height: .9rem; width: 0; }
.row { display: flex; flex-wrap: wrap; gap: .5rem; align-items: flex-start; margin: .6rem 0; }
.row > div { width: 5.5rem; font-size: .75rem; line-height: 1.25; color: var(--quiet); overflow-wrap: anywhere; }
.row > div.wide { width: auto; max-width: 100%; } img { display: block; border-radius: 3px; }
img.photo { width: 5.5rem; } img.map { image-rendering: pixelated; height: 5.5rem; max-width: 100%; }
img.strip { image-rendering: pixelated; max-width: 100%; }
.same { border-bottom: 3px solid var(--good); } .other { border-bottom: 3px solid var(--bad); }
details { margin: .4rem 0; } summary { cursor: pointer; color: var(--quiet); font-size: .875rem; }
)css";

std::string photo(const data::Image& picture, const std::string& alt) {
  return png_tag(data::encode_png(picture), alt, "photo");
}

std::string table_html(const Table& table) {
  std::string out = "<div class=\"scroll\"><table><thead><tr><th>model</th>";
  for (const std::string& column : table.columns) out += "<th>" + escaped(column) + "</th>";
  out += "</tr></thead><tbody>\n";
  for (const Table::Row& row : table.rows) {
    out += "<tr><td>" + escaped(row.model) +
           (row.kind == "model" ? "" : "<small>" + escaped(row.kind) + "</small>") + "</td>";
    for (const TableCell& cell : row.cells) {
      out += cell.is_best ? "<td class=\"best\">" : "<td>";
      out += escaped(cell.text) +
             (cell.interval.empty() ? "" : "<small>" + escaped(cell.interval) + "</small>") + "</td>";
    }
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>\n";
}

std::string funnel_html(const ReportContent& content) {
  if (content.funnel.empty()) return "";
  std::string out =
      "<h2>Curation</h2>\n<div "
      "class=\"scroll\"><table><thead><tr><th>stage</th><th>dropped</th><th>left</th></tr></thead><tbody>\n";
  for (const FunnelLine& line : content.funnel)
    out += "<tr><td>" + escaped(line.stage) + "</td><td>" + std::to_string(line.dropped) + "</td><td>" +
           std::to_string(line.left) + "</td></tr>\n";
  return out + "</tbody></table></div>\n";
}

// The heads' maps beside each other, large enough to be seen where pixels are not scaled.
std::string heads_html(const std::vector<data::Image>& heads, const std::string& alt) {
  if (heads.empty()) return "";
  const int factor = std::max(1, 88 / std::max(1, heads.front().height));
  std::vector<data::Image> maps;
  for (const data::Image& head : heads) maps.push_back(enlarged(head, factor));
  return "<div class=\"wide\">" + png_tag(data::encode_png(beside(maps, 4)), alt, "strip") + escaped(alt) +
         "</div>";
}

std::string attention_html(const ModelFigures& figures) {
  if (figures.attention.empty()) return "";
  std::string out =
      "<h3>Attention of the last block</h3>\n<p class=\"quiet\">softmax(q·k/√d) over the patches, one map a "
      "head, each "
      "with its own range; the class token's first, the registers' below.</p>\n";
  for (const AttentionRow& row : figures.attention) {
    out += "<div class=\"row\"><div>" + photo(row.picture, row.source) + escaped(row.source) + "</div>" +
           heads_html(row.cls_heads, "class token, by head") + "</div>\n";
    if (row.registers.empty()) continue;
    out += "<details><summary>registers</summary>";
    for (std::size_t r = 0; r < row.registers.size(); ++r)
      out += "<div class=\"row\">" + heads_html(row.registers[r], "register " + std::to_string(r + 1)) +
             "</div>";
    out += "</details>\n";
  }
  return out;
}

std::string components_html(const ModelFigures& figures) {
  const ComponentsRow& row = figures.components;
  if (row.pictures.empty()) return "";
  std::string out =
      "<h3>Principal components of the patches</h3>\n<p class=\"quiet\">All pictures together. The first "
      "component (" +
      number(100 * row.explained, 1) +
      " % of the variance) separates foreground; the next analysis, of the foreground "
      "alone, gives red, green and blue.</p>\n<div class=\"row\">";
  for (std::size_t i = 0; i < row.pictures.size(); ++i)
    out += "<div>" + photo(row.pictures[i], "picture") +
           png_tag(data::encode_png(row.components[i]), "principal components", "map") + "</div>";
  return out + "</div>\n";
}

std::string neighbours_html(const ModelFigures& figures) {
  if (figures.neighbours.empty()) return "";
  std::string out =
      "<h3>Nearest train pictures</h3>\n<p class=\"quiet\">The test picture first; underlined green where "
      "the class is the "
      "same, red where not.</p>\n";
  for (const NeighbourRow& row : figures.neighbours) {
    out +=
        "<div class=\"row\"><div>" + photo(row.query, row.label) + "<b>" + escaped(row.label) + "</b></div>";
    for (const NeighbourRow::Found& found : row.found)
      out += std::string("<div class=\"") + (found.is_same_class ? "same" : "other") + "\">" +
             photo(found.picture, found.label) + escaped(found.label) + "<br>" + number(found.similarity, 3) +
             "</div>";
    out += "</div>\n";
  }
  return out;
}

}  // namespace

std::string report_html(const ReportContent& content) {
  std::string out =
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width, initial-scale=1\"><title>Evaluation</title><style>" +
      std::string(kStyle) + "</style></head><body>\n<h1>Evaluation</h1>\n";
  for (const std::string& sentence : findings(content)) out += "<p>" + escaped(sentence) + "</p>\n";
  out += "<p class=\"quiet\">" + std::to_string(content.test_pictures) + " labelled test pictures, " +
         std::to_string(content.train_pictures) + " labelled train pictures, " +
         std::to_string(content.classes.size()) + " classes, dataset " +
         escaped(content.results.dataset_hash) + ", features " + escaped(content.features) +
         ". Percent, with 95 % intervals (Wilson; stratified bootstrap for means per class).</p>\n";
  out += table_html(summary_table(content)) + "<h3>k-NN by k</h3>\n" + table_html(neighbours_table(content));
  if (!content.curves.empty()) {
    out += "<h2>Training</h2>\n<div class=\"charts\">";
    for (const LineChart& chart : content.curves) out += svg_of(chart);
    out += "</div>\n";
  }
  for (const ModelFigures& figures : content.figures)
    out += "<h2>" + escaped(figures.model) + "</h2>\n" + components_html(figures) + neighbours_html(figures) +
           attention_html(figures);
  return out + funnel_html(content) + "</body></html>\n";
}

}  // namespace paddock::evaluate
