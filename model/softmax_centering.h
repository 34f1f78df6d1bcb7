// model/softmax_centering.h – teacher scores to targets by subtracting a running mean: the cheaper way against collapse.
// Source: DINO (arXiv 2104.14294) §3.1. Letters: B rows of a shard, K prototypes. Threads: one owner.
#pragma once

#include <torch/types.h>

#include <vector>

#include "model/shards.h"

namespace paddock::model {

class SoftmaxCentering {
 public:
  explicit SoftmaxCentering(std::int64_t prototypes, double momentum = .9,
                            torch::Device device = torch::kCPU);

  // softmax((scores − center) / temperature) with the center so far, float32.
  torch::Tensor targets(const torch::Tensor& scores_BK, double temperature) const;
  // Moves the center towards the mean over shards of their mean scores. Collective; a tensor for each own shard. A shard
  // without rows counts as a mean of 0.
  void update(const std::vector<torch::Tensor>& scores_BK, const Shards& shards);

  // [1, K], part of a run's state.
  torch::Tensor& center() { return center_; }

 private:
  const double momentum_;
  torch::Tensor center_;
};

}  // namespace paddock::model
