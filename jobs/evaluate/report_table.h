// jobs/evaluate/report_table.h – the records as the rows and cells that both report.md and report.html print.
#pragma once

#include <string>
#include <vector>

#include "jobs/evaluate/report.h"

namespace paddock::evaluate {

struct TableCell {
  std::string text;      // "61.3", "–" when it was not measured
  std::string interval;  // "58.1–64.4"; may be empty
  bool is_best = false;  // of its column, baselines included
};

struct Table {
  std::vector<std::string> columns;
  struct Row {
    std::string model;
    std::string kind;
    std::vector<TableCell> cells;
  };
  std::vector<Row> rows;
};

// The k of k-NN that the summary shows: 20 where measured (DINOv2's usual best), otherwise the first.
std::int64_t summary_k(const ReportContent& content);

Table summary_table(const ReportContent& content);
Table neighbours_table(const ReportContent& content);  // k-NN for every k

// A sentence for each comparison with an untrained model: by how many points, and how likely by chance.
std::vector<std::string> findings(const ReportContent& content);

}  // namespace paddock::evaluate
