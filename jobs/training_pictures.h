// jobs/training_pictures.h – what a training learns from and what is held out, the same on all its ranks. Threads: one owner.
#pragma once

#include <filesystem>

#include "data/sample_source.h"
#include "jobs/report_channel.h"
#include "jobs/training.h"
#include "model/collective.h"
#include "storage/disk.h"
#include "storage/sample_set.h"

namespace paddock::jobs {

// Of whatever kind. Tars without an index are indexed below `dir`; each rank begins with its own. Throws std::runtime_error.
data::Splits open_pictures(storage::Disk& disk, const TrainingPlan& plan, const std::filesystem::path& dir,
                           const model::Collective& ranks, ReportChannel& report);

// Throws std::invalid_argument where a rank sees others than rank 0 in `where`, by their names: it would train on other samples,
// and nobody would notice. Collective.
void compare_pictures(const storage::SampleSet& pictures, const std::string& where, model::Collective& ranks);

}  // namespace paddock::jobs
