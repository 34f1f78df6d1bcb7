#include "jobs/evaluate/report.h"
#include "jobs/evaluate/report_table.h"

namespace paddock::evaluate {
namespace {

std::string lines_of(const Table& table) {
  std::string out = "| model |";
  std::string rule = "|---|";
  for (const std::string& column : table.columns) {
    out += " " + column + " |";
    rule += "---|";
  }
  out += "\n" + rule + "\n";
  for (const Table::Row& row : table.rows) {
    out += "| " + row.model + (row.kind == "model" ? "" : " (" + row.kind + ")") + " |";
    for (const TableCell& cell : row.cells) {
      out += cell.is_best ? " **" + cell.text + "**" : " " + cell.text;
      out += cell.interval.empty() ? " |" : " (" + cell.interval + ") |";
    }
    out += "\n";
  }
  return out;
}

}  // namespace

std::string report_markdown(const ReportContent& content) {
  std::string out = "# Evaluation\n\n";
  for (const std::string& sentence : findings(content)) out += "- " + sentence + "\n";
  out += "\n" + std::to_string(content.test_pictures) + " labelled test pictures, " +
         std::to_string(content.train_pictures) + " labelled train pictures, " +
         std::to_string(content.classes.size()) + " classes, dataset `" + content.results.dataset_hash +
         "`, features `" + content.features +
         "`. Percent, with 95 % intervals (Wilson; stratified bootstrap for means per class).\n\n";
  out += lines_of(summary_table(content)) + "\n## k-NN by k\n\n" + lines_of(neighbours_table(content));
  if (!content.funnel.empty()) {
    out += "\n## Curation\n\n| stage | dropped | left |\n|---|---|---|\n";
    for (const FunnelLine& line : content.funnel)
      out += "| " + line.stage + " | " + std::to_string(line.dropped) + " | " + std::to_string(line.left) +
             " |\n";
  }
  return out +
         "\nEvery number with its parameters: `results.json`. Answers picture by picture: `predictions/`.\n";
}

}  // namespace paddock::evaluate
