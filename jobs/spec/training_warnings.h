// jobs/spec/training_warnings.h – choices of a training's options that seldom learn, a sentence each: what is
// unusual, what follows from it, what to set. Small batches are where losses stay flat, so most of them look
// at the batch. The bounds lie well beyond all published recipes; docs/training.md says how far. Threads:
// pure functions.
#pragma once

#include <string>
#include <vector>

#include "jobs/spec/training_run.h"

namespace paddock::spec {

std::vector<std::string> training_warnings(const TrainingRun& run);

}  // namespace paddock::spec
