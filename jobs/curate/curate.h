// jobs/curate/curate.h – the job kind `curate`: a folder of pictures becomes a dataset to train and to test
// on. Deterministic: the same pool and options give the same bytes, whatever the number of threads and
// however often the job was killed. DIR/work keeps what is costly while it runs, DIR/dataset appears whole at
// the end.
#pragma once

#include <filesystem>

#include "jobs/report_channel.h"
#include "jobs/spec/curate.h"

namespace paddock::curate {

// Makes `dir`/dataset (docs/dataset-format.md) and reports it as the artifact `dataset`; a finished one is
// reported again. Throws std::invalid_argument when the options do not fit the pool, std::runtime_error for
// the world.
void run_curate(const spec::CurateOptions& options, const std::filesystem::path& dir,
                jobs::ReportChannel& report);

}  // namespace paddock::curate
