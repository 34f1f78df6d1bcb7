// jobs/evaluate/curves.h – a training run's losses as it wrote them: metrics.jsonl, heldout.jsonl,
// timing.jsonl. Threads: pure functions of the files.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "jobs/evaluate/html.h"

namespace paddock::evaluate {

// Charts of one run: the losses (total and by part), the held-out loss, and learning rate with teacher
// temperature and momentum; empty ones are left out. Marked where an attempt went on from a checkpoint. A
// line that is not whole, as the last one of a running job may be, is passed over.
std::vector<LineChart> curves_of_run(const std::string& name, const std::filesystem::path& run_dir);

}  // namespace paddock::evaluate
