// model/shards.h – a step over V virtual shards: the bits of a run do not depend on how many ranks carry it out.
// The global batch is cut into V equal parts. Each shard has its own forward and backward pass of fixed shapes; whatever
// crosses shards (gradients, Sinkhorn–Knopp's sums, centers, losses) is added in one fixed binary tree over the shards.
// A rank owns a contiguous range of shards and adds the subtrees that lie in it; the ranks exchange those and each finishes
// the tree. Addition of two floats commutes, so who adds does not matter, only what is added to what.
// The same division cuts flat parameters into slices of whole blocks, one a rank: its part of the optimiser's state.
// Threads: one owner. Collective: every rank calls sum, max and gather in the same order.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "model/collective.h"

namespace paddock::model {

// Elements a block: the unit of slices, norms and updates, the same for any number of ranks.
inline constexpr std::int64_t kParameterBlock = 1 << 16;

struct Range {
  std::int64_t begin = 0, end = 0;
  std::int64_t size() const { return end - begin; }
  bool operator==(const Range&) const = default;
};

// The part of [0, count) that rank r of W owns; all parts are contiguous and none is empty while W ≤ count.
Range part_of_rank(std::int64_t count, std::int64_t rank, std::int64_t ranks);

// Adds tensors over the leaves [0, leaves) of the tree: a node of n leaves has the greatest power of two below n on its
// left. Nodes are given from left to right, and merged in place as soon as both halves are there.
class TreeSum {
 public:
  struct Node {
    Range leaves;
    torch::Tensor sum;
  };

  explicit TreeSum(std::int64_t leaves) : leaves_(leaves) {}

  // The nodes that a range of leaves adds up to without the others, from left to right.
  static std::vector<Range> nodes_of(Range range, std::int64_t leaves);

  // `sum` belongs to the tree from here on. Returns the tensors that merging freed.
  std::vector<torch::Tensor> push(Range leaves, torch::Tensor sum);
  const std::vector<Node>& nodes() const { return nodes_; }
  // Throws std::logic_error while leaves are missing.
  torch::Tensor root() const;

 private:
  std::int64_t leaves_;
  std::vector<Node> nodes_;
};

class Shards {
 public:
  // Throws std::invalid_argument when there are more ranks than shards. `ranks` must outlive this.
  Shards(Collective& ranks, std::int64_t count);

  std::int64_t count() const { return count_; }
  Range own() const { return own_; }  // shards of this rank
  Range of_rank(std::int64_t rank) const { return part_of_rank(count_, rank, ranks_.ranks()); }
  Collective& ranks() const { return ranks_; }

  // Over all shards, the same bits on all ranks; `own`: a tensor for each own shard, all of one shape, used up.
  torch::Tensor sum(std::vector<torch::Tensor> own) const;
  torch::Tensor max(const std::vector<torch::Tensor>& own) const;
  // [V, …]: the tensors of all shards, in their order.
  torch::Tensor gather(const std::vector<torch::Tensor>& own) const;

 private:
  Collective& ranks_;
  const std::int64_t count_;
  const Range own_;
};

// The slice of `elements` flat parameters (a multiple of kParameterBlock) that belongs to a rank.
Range slice_of_rank(std::int64_t elements, std::int64_t rank, std::int64_t ranks);

// Flat values of which each rank has new ones in its slice alone, and that fill up with the others' while it does something else.
// Until wait() has returned nobody looks at them or changes them.
class SlicesUnderWay {
 public:
  // Collective. What is under way from before is waited for.
  void begin(torch::Tensor& flat, Collective& ranks);
  // Beside what is under way; `parts`: each rank's of `values`. Collective.
  void add(torch::Tensor& values, const std::vector<Range>& parts, Collective& ranks);
  void wait();

 private:
  std::vector<std::unique_ptr<Collective::Pending>> pending_;
};

// Fills in the slices of all the other ranks. Collective.
void share_slices(torch::Tensor& flat, Collective& ranks);

}  // namespace paddock::model
