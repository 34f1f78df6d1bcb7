#include "model/shards.h"

#include <bit>
#include <stdexcept>
#include <string>
#include <utility>

namespace paddock::model {
namespace {

// Where a node's right half begins.
std::int64_t middle(Range node) {
  const auto half = std::bit_floor(static_cast<std::uint64_t>(node.size() - 1));
  return node.begin + static_cast<std::int64_t>(half);
}

void add_nodes(Range node, Range range, std::vector<Range>& nodes) {
  if (node.end <= range.begin || range.end <= node.begin) return;
  if (range.begin <= node.begin && node.end <= range.end) {
    nodes.push_back(node);
    return;
  }
  const std::int64_t half = middle(node);
  add_nodes({node.begin, half}, range, nodes);
  add_nodes({half, node.end}, range, nodes);
}

// Whether `left` and `right` are the halves of one node of the tree.
bool are_halves(Range left, Range right, std::int64_t leaves) {
  const Range both{left.begin, right.end};
  Range node{0, leaves};
  while (node.size() > both.size()) {
    const std::int64_t half = middle(node);
    node = both.begin >= half ? Range{half, node.end} : Range{node.begin, half};
  }
  return node == both && node.size() > 1 && middle(node) == right.begin;
}

}  // namespace

Range part_of_rank(std::int64_t count, std::int64_t rank, std::int64_t ranks) {
  const auto begin = [&](std::int64_t r) { return (r * count + ranks - 1) / ranks; };
  return {begin(rank), begin(rank + 1)};
}

std::vector<Range> TreeSum::nodes_of(Range range, std::int64_t leaves) {
  std::vector<Range> nodes;
  add_nodes({0, leaves}, range, nodes);
  return nodes;
}

std::vector<torch::Tensor> TreeSum::push(Range leaves, torch::Tensor sum) {
  std::vector<torch::Tensor> freed;
  nodes_.push_back({leaves, std::move(sum)});
  while (nodes_.size() > 1) {
    Node& left = nodes_[nodes_.size() - 2];
    const Node& right = nodes_.back();
    if (left.leaves.end != right.leaves.begin || !are_halves(left.leaves, right.leaves, leaves_)) break;
    left.sum.add_(right.sum);
    left.leaves.end = right.leaves.end;
    freed.push_back(right.sum);
    nodes_.pop_back();
  }
  return freed;
}

torch::Tensor TreeSum::root() const {
  if (nodes_.size() != 1 || nodes_.front().leaves != Range{0, leaves_})
    throw std::logic_error("the sum over shards lacks some of them");
  return nodes_.front().sum;
}

Shards::Shards(Collective& ranks, std::int64_t count)
    : ranks_(ranks), count_(count), own_(part_of_rank(count, ranks.rank(), ranks.ranks())) {
  if (ranks.ranks() > count)
    throw std::invalid_argument("the run has " + std::to_string(count) + " shards for " +
                                std::to_string(ranks.ranks()) +
                                " ranks: use fewer ranks, or begin a run with more shards");
}

torch::Tensor Shards::sum(std::vector<torch::Tensor> own) const {
  const torch::NoGradGuard no_grad;
  TreeSum tree(count_);
  for (std::size_t i = 0; i < own.size(); ++i) {
    const std::int64_t shard = own_.begin + static_cast<std::int64_t>(i);
    tree.push({shard, shard + 1}, std::move(own[i]));
  }
  if (ranks_.ranks() == 1) return tree.root();
  std::size_t most = 0;
  for (std::int64_t rank = 0; rank < ranks_.ranks(); ++rank)
    most = std::max(most, TreeSum::nodes_of(of_rank(rank), count_).size());
  std::vector<torch::Tensor> sums;
  for (const auto& node : tree.nodes()) sums.push_back(node.sum);
  while (sums.size() < most) sums.push_back(torch::zeros_like(sums.front()));  // all send one shape
  const auto all = ranks_.all_gather(torch::stack(sums));
  TreeSum whole(count_);
  for (std::int64_t rank = 0; rank < ranks_.ranks(); ++rank) {
    const auto nodes = TreeSum::nodes_of(of_rank(rank), count_);
    for (std::size_t i = 0; i < nodes.size(); ++i)
      whole.push(nodes[i], all[rank][static_cast<std::int64_t>(i)]);
  }
  return whole.root();
}

torch::Tensor Shards::max(const std::vector<torch::Tensor>& own) const {
  const torch::NoGradGuard no_grad;
  auto greatest = own.front().clone();
  for (const auto& tensor : own) greatest = torch::maximum(greatest, tensor);
  ranks_.all_reduce_max(greatest);
  return greatest;
}

torch::Tensor Shards::gather(const std::vector<torch::Tensor>& own) const {
  const torch::NoGradGuard no_grad;
  if (ranks_.ranks() == 1) return torch::stack(own);
  const std::int64_t most = (count_ + ranks_.ranks() - 1) / ranks_.ranks();
  std::vector<torch::Tensor> padded = own;
  while (static_cast<std::int64_t>(padded.size()) < most) padded.push_back(torch::zeros_like(own.front()));
  const auto all = ranks_.all_gather(torch::stack(padded));
  std::vector<torch::Tensor> shards;
  for (std::int64_t rank = 0; rank < ranks_.ranks(); ++rank) {
    for (std::int64_t i = 0; i < of_rank(rank).size(); ++i) shards.push_back(all[rank][i]);
  }
  return torch::stack(shards);
}

Range slice_of_rank(std::int64_t elements, std::int64_t rank, std::int64_t ranks) {
  if (elements % kParameterBlock != 0) throw std::logic_error("flat parameters are no multiple of the block");
  const Range blocks = part_of_rank(elements / kParameterBlock, rank, ranks);
  return {blocks.begin * kParameterBlock, blocks.end * kParameterBlock};
}

void SlicesUnderWay::begin(torch::Tensor& flat, Collective& ranks) {
  wait();
  std::vector<Range> slices;
  for (std::int64_t rank = 0; rank < ranks.ranks(); ++rank)
    slices.push_back(slice_of_rank(flat.numel(), rank, ranks.ranks()));
  add(flat, slices, ranks);
}

void SlicesUnderWay::add(torch::Tensor& values, const std::vector<Range>& parts, Collective& ranks) {
  if (ranks.ranks() == 1) return;
  const torch::NoGradGuard no_grad;
  for (std::int64_t rank = 0; rank < ranks.ranks(); ++rank) {
    const Range part = parts[static_cast<std::size_t>(rank)];
    if (part.size() == 0) continue;  // as with fewer blocks than ranks
    // As bytes: not every backend knows every type.
    auto bytes = values.narrow(0, part.begin, part.size()).view(torch::kUInt8);
    if (auto pending = ranks.begin_broadcast(bytes, rank)) pending_.push_back(std::move(pending));
  }
}

void SlicesUnderWay::wait() {
  for (const auto& pending : std::exchange(pending_, {})) pending->wait();
}

void share_slices(torch::Tensor& flat, Collective& ranks) {
  SlicesUnderWay slices;
  slices.begin(flat, ranks);
  slices.wait();
}

}  // namespace paddock::model
