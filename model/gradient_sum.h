// model/gradient_sum.h – the gradients of all shards, summed in the tree of shards.h; each rank ends with its slice.
// Accumulation over the shards of a rank and reduction over the ranks are the same tree, so their split changes no bit.
// Threads: one owner.
#pragma once

#include <vector>

#include "model/flat_parameters.h"

namespace paddock::model {

class GradientSum {
 public:
  // Both must outlive this.
  GradientSum(FlatParameters& parameters, const Shards& shards);

  // Takes what lies in parameters.gradients() as the gradient of the next own shard, in order, and leaves zeros there.
  void add_shard();
  // After all own shards: the sum over all shards of this rank's slice, float32 [slice size]. Valid until the next
  // add_shard. Collective.
  torch::Tensor reduce();

  Range slice() const { return slice_; }

 private:
  torch::Tensor spare();

  FlatParameters& parameters_;
  const Shards& shards_;
  const Range slice_;
  TreeSum tree_;
  std::int64_t next_;
  std::vector<torch::Tensor> spares_;  // buffers of earlier steps
};

}  // namespace paddock::model
