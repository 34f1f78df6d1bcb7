// jobs/spec/pretrain.h – what a `pretrain` job may be asked: a backbone raised from a dataset without labels.
// Artifacts: `checkpoint` (folder of the final one), `run` (the job's folder: checkpoints, metrics, held-out losses).
#pragma once

#include "jobs/spec/training.h"

namespace paddock::spec {

struct PretrainOptions {
  std::string data;              // dataset folder: train/ is learnt from, test/ is held out
  std::int64_t batch_size = 64;  // pictures a step over all ranks; a multiple of their number
  std::int64_t seed = 0;         // of everything drawn: initial weights, order, views, masks
  BackboneSpec backbone;
  CropsSpec crops;
  AugmentSpec augment;
  HeadsSpec heads;
  LossSpec loss;
  ScheduleSpec schedule;
  RunSpec run;
  double mask_probability = .5;               // share of global crops with hidden patches
  std::vector<double> mask_ratio = {.1, .5};  // of their patches, least and most
};

const OptionTable<PretrainOptions>& pretrain_table();

}  // namespace paddock::spec
