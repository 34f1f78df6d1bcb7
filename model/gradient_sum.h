// model/gradient_sum.h – the gradients of all shards, summed in the tree of shards.h; each rank ends with its slice.
// Accumulation over the shards of a rank and reduction over the ranks are the same tree, so their split changes no bit.
// Several ranks: the flat gradient is cut into buckets, and a bucket of the last own shard goes to the others as soon as the
// backward pass has left it, while the pass goes on (as in Li et al., "PyTorch Distributed", arXiv 2006.15704, §3.2). Buckets
// leave from the end of the parameters to their beginning on every rank: heads first, patch embedding last.
// Threads: one owner; the backward pass may run on a thread of autograd's, while the owner waits for it.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "model/flat_parameters.h"

namespace paddock::model {

// Elements a bucket, at most: 32 MiB, so that a message costs little beyond its bytes.
inline constexpr std::int64_t kBucketElements = 128 * kParameterBlock;

class GradientSum {
 public:
  // `parameters` and `shards` must outlive this. `bucket_elements`: a multiple of kParameterBlock.
  GradientSum(FlatParameters& parameters, const Shards& shards,
              std::int64_t bucket_elements = kBucketElements);
  ~GradientSum();
  GradientSum(const GradientSum&) = delete;
  GradientSum& operator=(const GradientSum&) = delete;

  // Takes what lies in parameters.gradients() as the gradient of the next own shard, in order, and leaves zeros there. Between two
  // calls there is at most one backward pass: a second one throws std::logic_error where buckets of the first have left.
  // Collective with the pass, for the last own shard.
  void add_shard();
  // After all own shards: the sum over all shards of this rank's slice, float32 [slice size]. Valid until the next
  // add_shard. Collective.
  torch::Tensor reduce();

  Range slice() const { return slice_; }

 private:
  struct Bucket;
  class Hook;

  void cut_into_buckets(std::int64_t bucket_elements);
  void watch_parameters();
  bool is_last_shard() const { return next_ + 1 == shards_.own().end; }
  // The backward pass has left the gradient of parameter i.
  void arrived(std::size_t parameter);
  void take(Bucket& bucket);
  void begin_exchange(Bucket& bucket);
  void finish_exchange(Bucket& bucket);

  FlatParameters& parameters_;
  const Shards& shards_;
  const Range slice_;
  std::int64_t next_;                                 // the shard that the next gradient is of
  std::vector<Bucket> buckets_;                       // in the order in which they leave
  std::vector<std::vector<std::size_t>> buckets_of_;  // of each parameter
  std::vector<bool> has_arrived_;                     // each parameter's gradient, in this pass
  std::size_t taken_ = 0;                             // buckets of this pass that left
  torch::Tensor sum_;                                 // the slice's, with several ranks
};

}  // namespace paddock::model
