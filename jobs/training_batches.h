// jobs/training_batches.h – data/'s plain batches as the tensors of a step.
// Threads: one owner. Errors as data::Loader.
#pragma once

#include <cstdint>

#include "data/loader.h"
#include "jobs/training.h"
#include "model/self_distillation.h"

namespace paddock::jobs {

data::LoaderOptions loader_options(const TrainingPlan& plan, std::int64_t rank, std::int64_t world);

// A loader's batch and tensors over its memory (copies on a GPU).
struct TrainingBatch {
  data::Batch plain;
  model::CropBatch crops;
};

TrainingBatch to_tensors(data::Batch batch, const TrainingPlan& plan, torch::Device device);

// The draws of stochastic depth for a step of a rank.
model::KeptSamples kept_samples(std::uint64_t seed, std::int64_t step, std::int64_t rank);

}  // namespace paddock::jobs
