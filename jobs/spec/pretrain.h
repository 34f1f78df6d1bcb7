// jobs/spec/pretrain.h – what a `pretrain` job may be asked: a backbone raised from a dataset without labels; and an `adapt`
// job: the same from weights that are there already, at another resolution or on other pictures (DINOv2, arXiv 2304.07193, §3:
// a short phase at 518 pixels with all schedules compressed).
// Artifacts: `checkpoint` (folder of the final one), `run` (the job's folder: checkpoints, metrics, held-out losses).
#pragma once

#include "jobs/spec/training.h"

namespace paddock::spec {

struct PretrainOptions {
  std::string data;              // what is learnt from, see docs/job-spec.md
  std::string data_test;         // what is held out; empty: data's test/
  double heldout_fraction = 0;   // of the pictures to learn from; > 0: held out instead
  std::int64_t batch_size = 64;  // pictures a step over all ranks; a multiple of shards
  std::int64_t shards =
      0;  // parts that a batch is computed in, at least as many as ranks; 0: see resolved_shards
  std::int64_t seed = 0;  // of everything drawn: initial weights, order, views, masks
  BackboneSpec backbone;
  CropsSpec crops;
  AugmentSpec augment;
  HeadsSpec heads;
  LossSpec loss;
  ScheduleSpec schedule;
  RunSpec run;
  double mask_probability = .5;               // share of global crops with hidden patches
  std::vector<double> mask_ratio = {.1, .5};  // of their patches, least and most
  // adapt alone: the weights to begin from, and the steps in which the backbone stays as it is. Of backbone only drop_path
  // counts.
  std::string from;
  std::int64_t head_warmup_steps = 0;
};

const OptionTable<PretrainOptions>& pretrain_table();
const OptionTable<PretrainOptions>& adapt_table();

}  // namespace paddock::spec
