#include "jobs/evaluate/curves.h"

#include <fstream>
#include <nlohmann/json.hpp>

namespace paddock::evaluate {
namespace fs = std::filesystem;

namespace {

std::vector<nlohmann::json> lines_of(const fs::path& path) {
  std::vector<nlohmann::json> lines;
  std::ifstream in(path);
  for (std::string text; std::getline(in, text);) {
    nlohmann::json line = nlohmann::json::parse(text, nullptr, false);
    if (line.is_object() && line.contains("step") && line["step"].is_number())
      lines.push_back(std::move(line));
  }
  return lines;
}

Series series_of(const std::vector<nlohmann::json>& lines, const std::string& key, const std::string& name) {
  const nlohmann::json::json_pointer pointer("/" + key);
  Series series{name, {}};
  for (const nlohmann::json& line : lines) {
    if (line.contains(pointer) && line[pointer].is_number())
      series.points.emplace_back(line["step"].get<double>(), line[pointer].get<double>());
  }
  return series;
}

// Those that a run of several students has numbers of, each at "students/NAME/…".
std::vector<std::string> students_of(const std::vector<nlohmann::json>& metrics) {
  std::vector<std::string> names;
  if (metrics.empty() || !metrics.back().contains("students")) return names;
  for (const auto& [name, numbers] : metrics.back()["students"].items()) names.push_back(name);
  return names;
}

void add_chart(std::vector<LineChart>& charts, std::string title, std::vector<Series> series,
               std::vector<double> marks) {
  std::erase_if(series, [](const Series& one) { return one.points.empty(); });
  if (!series.empty())
    charts.push_back({std::move(title), "step", std::move(series), std::move(marks), "resumed"});
}

// The steps at which another attempt took over: timing lines carry the attempt's fence.
std::vector<double> resumed_at(const std::vector<nlohmann::json>& timing) {
  std::vector<double> steps;
  std::int64_t fence = -1;
  for (const nlohmann::json& line : timing) {
    const auto at = line.find("fence");
    if (at == line.end() || !at->is_number_integer()) continue;
    if (fence >= 0 && at->get<std::int64_t>() != fence) steps.push_back(line["step"].get<double>());
    fence = at->get<std::int64_t>();
  }
  return steps;
}

}  // namespace

std::vector<LineChart> curves_of_run(const std::string& name, const fs::path& run_dir) {
  const std::vector<nlohmann::json> metrics = lines_of(run_dir / "metrics.jsonl");
  const std::vector<nlohmann::json> held_out = lines_of(run_dir / "heldout.jsonl");
  const std::vector<double> marks = resumed_at(lines_of(run_dir / "timing.jsonl"));
  std::vector<LineChart> charts;
  std::vector<Series> losses, norms;
  for (const std::string& student : students_of(metrics)) {
    const std::string at = "students/" + student + "/";
    losses.push_back(series_of(metrics, at + "loss", student + ", training"));
    losses.push_back(series_of(held_out, at + "loss", student + ", held out"));
    norms.push_back(series_of(metrics, at + "grad_norm", student));
  }
  if (!losses.empty()) {
    add_chart(charts, name + ": loss of each student", std::move(losses), marks);
    add_chart(charts, name + ": gradient norm of each student, before clipping", std::move(norms), marks);
    add_chart(charts, name + ": learning rate", {series_of(metrics, "lr", "learning rate")}, marks);
    return charts;
  }
  add_chart(charts, name + ": loss in training and held out",
            {series_of(metrics, "loss", "training"), series_of(held_out, "loss", "held out")}, marks);
  add_chart(charts, name + ": parts of the loss",
            {series_of(metrics, "dino_local", "DINO local"), series_of(metrics, "dino_global", "DINO global"),
             series_of(metrics, "ibot", "iBOT"), series_of(metrics, "koleo", "KoLeo")},
            marks);
  add_chart(charts, name + ": gradient norm", {series_of(metrics, "grad_norm", "before clipping")}, marks);
  add_chart(charts, name + ": learning rate", {series_of(metrics, "lr", "learning rate")}, marks);
  return charts;
}

}  // namespace paddock::evaluate
