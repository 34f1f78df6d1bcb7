// jobs/evaluate/evaluate.h – the job kind `evaluate`: how good models are on a dataset's held-out pictures,
// with intervals, floors and pictures. DIR/report holds results.json, predictions/, report.md and
// report.html; times are in DIR/timing.json, outside, so that the report is a function of its inputs.
#pragma once

#include <filesystem>

#include "jobs/report_channel.h"
#include "jobs/spec/evaluate.h"

namespace paddock::evaluate {

// Makes `dir`/report and reports it as the artifact `report`, whose hash is that of results.json.
// Throws std::invalid_argument when options, dataset and models do not fit, std::runtime_error for the world.
void run_evaluate(const spec::EvaluateOptions& options, const std::filesystem::path& dir,
                  jobs::ReportChannel& report);

}  // namespace paddock::evaluate
