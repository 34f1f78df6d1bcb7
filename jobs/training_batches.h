// jobs/training_batches.h – data/'s plain batches as the tensors of a step.
// Threads: one owner. Errors as data::Loader.
#pragma once

#include <cstdint>
#include <vector>

#include "data/loader.h"
#include "jobs/training.h"
#include "model/self_distillation.h"

namespace paddock::jobs {

// Of a picture: only the DINO loss looks at them, so without it none is made.
std::int64_t local_crops(const TrainingPlan& plan);

// `own`: virtual shards of this rank.
data::LoaderOptions loader_options(const TrainingPlan& plan, model::Range own);

// A loader's batch and tensors over its memory (copies on a GPU).
struct TrainingBatch {
  data::Batch plain;
  model::CropBatch crops;
};

TrainingBatch to_tensors(data::Batch batch, const TrainingPlan& plan, torch::Device device);

// The batches of all own shards for a step.
std::vector<TrainingBatch> next_batches(data::Loader& loader, const TrainingPlan& plan, model::Range own,
                                        torch::Device device);

// The draws of stochastic depth for a step of a shard.
model::KeptSamples kept_samples(std::uint64_t seed, std::int64_t step, std::int64_t shard);

}  // namespace paddock::jobs
