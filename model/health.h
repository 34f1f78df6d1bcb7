// model/health.h – numbers that say whether a self-distillation run is alive: a run collapses when all pictures get the same
// target or the same feature. Sources: entropy and KL as in DINO (arXiv 2104.14294) §5.3; effective rank: Roy & Vetterli 2007.
// Letters: B rows of a shard, K prototypes, D width. Float64 results, the same on all ranks and for any number of them.
#pragma once

#include <torch/types.h>

#include <vector>

#include "model/shards.h"

namespace paddock::model {

struct TargetHealth {
  double entropy = 0;  // of a row, mean, as a share of log K: 0 one-hot, 1 uniform
  double kl_to_uniform =
      0;  // of the mean row, nats: 0 when all prototypes are used alike, log K when one takes everything
};

// `targets_BK`: of each own shard, rows sum to 1. Collective.
TargetHealth target_health(const std::vector<torch::Tensor>& targets_BK, const Shards& shards);

struct FeatureHealth {
  double spread =
      0;  // √D · mean over dimensions of the standard deviation of unit features: about 1 spread out, 0 collapsed
  double effective_rank =
      0;  // exp(entropy of the shares of the centred features' squared singular values): 1 … min(rows, D)
};

// `features_BD`: of each own shard, one number of rows. Collective.
FeatureHealth feature_health(const std::vector<torch::Tensor>& features_BD, const Shards& shards);

}  // namespace paddock::model
