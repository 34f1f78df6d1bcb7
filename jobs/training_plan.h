// jobs/training_plan.h – a training's options as its loop needs them, whatever kind of job they came from.
// Threads: pure functions.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "data/normalization.h"
#include "jobs/spec/training.h"
#include "model/headed_backbone.h"

namespace paddock::jobs {

// A job's options as the loop needs them.
struct TrainingPlan {
  std::string kind;        // "pretrain", "adapt", "distill"
  nlohmann::json options;  // resolved, stored with the run
  std::string data, data_test;
  double heldout_fraction = 0;
  std::int64_t batch_size = 0;
  std::int64_t shards = 1;  // virtual, see model/shards.h
  std::uint64_t seed = 0;
  spec::CropsSpec crops;
  spec::AugmentSpec augment;
  spec::LossSpec loss;
  spec::ScheduleSpec schedule;
  spec::RunSpec run;
  double mask_probability =
      0;  // 0: nothing is hidden and the iBOT loss looks at every patch of the global crops
  std::vector<double> mask_ratio{.1, .5};
  model::HeadedBackboneOptions student;  // of several the first: patches and pictures are the same for all
  std::map<std::string, model::HeadedBackboneOptions> students;  // several, by name; empty: `student` alone
  data::Normalization normalization;                             // of student.backbone.channels channels
  // A finished teacher that stays as it is; none: the moving average of the student teaches it.
  std::optional<model::HeadedBackboneOptions> frozen_teacher;
  model::TensorMap frozen_weights;  // "backbone.…", "dino_head.…"
  std::string frozen_hash;          // identity of the teacher's checkpoint
  // What student and average begin as, instead of the seed's draw: "backbone.…", and the heads where they are given.
  model::TensorMap initial_weights;
  std::string initial_hash;            // their identity
  std::int64_t head_warmup_steps = 0;  // at the start, in which the backbone does not learn
};

// What the options of every kind of training have in common; `resolved`: the same as JSON, with all defaults.
template <typename Options>
TrainingPlan common_plan(std::string kind, nlohmann::json resolved, const Options& options) {
  TrainingPlan plan;
  plan.kind = std::move(kind);
  plan.options = std::move(resolved);
  plan.data = options.data;
  plan.data_test = options.data_test;
  plan.heldout_fraction = options.heldout_fraction;
  plan.batch_size = options.batch_size;
  plan.shards = spec::resolved_shards(options.shards, options.batch_size);
  plan.seed = static_cast<std::uint64_t>(options.seed);
  plan.crops = options.crops;
  plan.augment = options.augment;
  plan.loss = options.loss;
  plan.schedule = options.schedule;
  plan.run = options.run;
  return plan;
}

// All that learn, by name; the only one has the name "".
std::map<std::string, model::HeadedBackboneOptions> students_of(const TrainingPlan& plan);
model::VisionTransformerOptions backbone_options(const spec::BackboneSpec& backbone, std::int64_t image_size);
model::DinoHeadOptions head_options(const spec::HeadSpec& head);
// What the spec says, or what is usual for its number of channels.
data::Normalization normalization_of(const spec::BackboneSpec& backbone);

}  // namespace paddock::jobs
