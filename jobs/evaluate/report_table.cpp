#include "jobs/evaluate/report_table.h"

#include <algorithm>
#include <cstdio>

namespace paddock::evaluate {
namespace {

std::string percent(double share) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", 100 * share);
  return text;
}

std::string p_value(double p) {
  char text[32];
  std::snprintf(text, sizeof text, p < 1e-4 ? "%.0e" : "%.4f", p);
  return text;
}

TableCell share_cell(const Record* record) {
  if (record == nullptr) return {"–", "", false};
  TableCell cell{percent(record->value), "", false};
  if (record->interval)
    cell.interval = percent(record->interval->low) + "–" + percent(record->interval->high);
  return cell;
}

struct Column {
  std::string title;
  std::string protocol;
  std::string metric;
  std::optional<std::int64_t> k;
};

Table pivot(const ReportContent& content, const std::vector<Column>& columns) {
  Table table;
  for (const Column& column : columns) table.columns.push_back(column.title);
  for (const std::string& model : models_of(content.results)) {
    Table::Row row{model, "", {}};
    for (const Record& record : content.results.records)
      if (record.model == model) row.kind = record.kind;
    for (const Column& column : columns)
      row.cells.push_back(
          share_cell(find_record(content.results, model, column.protocol, column.metric, column.k)));
    table.rows.push_back(std::move(row));
  }
  for (std::size_t c = 0; c < columns.size(); ++c) {
    double best = -1;
    for (const Table::Row& row : table.rows)
      if (const Record* record =
              find_record(content.results, row.model, columns[c].protocol, columns[c].metric, columns[c].k))
        best = std::max(best, record->value);
    for (Table::Row& row : table.rows) {
      const Record* record =
          find_record(content.results, row.model, columns[c].protocol, columns[c].metric, columns[c].k);
      row.cells[c].is_best = record != nullptr && record->value == best;
    }
  }
  return table;
}

}  // namespace

std::int64_t summary_k(const ReportContent& content) {
  const bool has_20 = std::find(content.ks.begin(), content.ks.end(), 20) != content.ks.end();
  return has_20 || content.ks.empty() ? 20 : content.ks.front();
}

Table summary_table(const ReportContent& content) {
  const std::int64_t k = summary_k(content);
  const std::string name = std::to_string(k) + "-NN";
  Table table = pivot(content, {{name, "knn", "top1", k},
                                {name + ", mean per class", "knn", "mean_per_class", k},
                                {"linear-cached", "linear-cached", "top1", {}},
                                {"linear-cached, mean per class", "linear-cached", "mean_per_class", {}},
                                {"crop → own picture, R@1", "crop-retrieval", "recall_at_1", {}}});
  table.columns.push_back("p against untrained");
  for (Table::Row& row : table.rows) {
    const Record* record = find_record(content.results, row.model, "paired", "mcnemar_p");
    row.cells.push_back({record == nullptr ? "–" : p_value(record->value), "", false});
  }
  return table;
}

Table neighbours_table(const ReportContent& content) {
  std::vector<Column> columns;
  for (const std::int64_t k : content.ks) columns.push_back({"k = " + std::to_string(k), "knn", "top1", k});
  return pivot(content, columns);
}

std::vector<std::string> findings(const ReportContent& content) {
  std::vector<std::string> sentences;
  const std::int64_t k = summary_k(content);
  for (const Record& record : content.results.records) {
    if (record.protocol != "paired" || record.metric != "mcnemar_p") continue;
    const std::string against = record.params.value("against", "");
    const Record* own = find_record(content.results, record.model, "knn", "top1", k);
    const Record* other = find_record(content.results, against, "knn", "top1", k);
    if (own == nullptr || other == nullptr) continue;
    char points[32];
    std::snprintf(points, sizeof points, "%+.1f", 100 * (own->value - other->value));
    const char* verdict = record.value >= .05         ? "no difference that chance would not explain"
                          : own->value > other->value ? "better"
                                                      : "worse";
    sentences.push_back(record.model + " against " + against + ": " + points + " points in " +
                        std::to_string(k) + "-NN on the same " + std::to_string(record.n) +
                        " pictures, p = " + p_value(record.value) + ": " + verdict + ".");
  }
  return sentences;
}

}  // namespace paddock::evaluate
