#include "model/gradient_sum.h"

namespace paddock::model {

GradientSum::GradientSum(FlatParameters& parameters, const Shards& shards)
    : parameters_(parameters),
      shards_(shards),
      slice_(slice_of_rank(parameters.elements(), shards.ranks().rank(), shards.ranks().ranks())),
      tree_(shards.count()),
      next_(shards.own().begin) {}

torch::Tensor GradientSum::spare() {
  if (spares_.empty()) return torch::empty_like(parameters_.values());
  auto buffer = spares_.back();
  spares_.pop_back();
  return buffer;
}

void GradientSum::add_shard() {
  const torch::NoGradGuard no_grad;
  if (next_ == shards_.own().begin) {  // a new step: the buffers of the last one are free
    for (const auto& node : tree_.nodes()) spares_.push_back(node.sum);
    tree_ = TreeSum(shards_.count());
  }
  auto leaf = spare();
  leaf.copy_(parameters_.gradients());
  for (auto& freed : tree_.push({next_, next_ + 1}, leaf)) spares_.push_back(std::move(freed));
  if (++next_ == shards_.own().end) next_ = shards_.own().begin;
  parameters_.zero_gradients();
}

torch::Tensor GradientSum::reduce() {
  const torch::NoGradGuard no_grad;
  Collective& ranks = shards_.ranks();
  if (ranks.ranks() == 1) return tree_.root();
  // The j-th node of every rank at once: each rank gets its slice of it from all.
  std::vector<std::vector<Range>> nodes;
  std::size_t most = 0;
  std::vector<std::int64_t> slice_sizes;
  for (std::int64_t rank = 0; rank < ranks.ranks(); ++rank) {
    nodes.push_back(TreeSum::nodes_of(shards_.of_rank(rank), shards_.count()));
    most = std::max(most, nodes.back().size());
    slice_sizes.push_back(slice_of_rank(parameters_.elements(), rank, ranks.ranks()).size());
  }
  std::vector<std::vector<torch::Tensor>> received(nodes.size());  // [rank][node]
  for (std::size_t j = 0; j < most; ++j) {
    const bool is_sending = j < tree_.nodes().size();
    const auto sent = is_sending ? tree_.nodes()[j].sum : parameters_.gradients().narrow(0, 0, 0);
    const auto sent_sizes = is_sending ? slice_sizes : std::vector<std::int64_t>(nodes.size(), 0);
    std::vector<std::int64_t> sizes;
    for (const auto& of_rank : nodes) sizes.push_back(j < of_rank.size() ? slice_.size() : 0);
    const auto parts = ranks.all_to_all(sent, sent_sizes, sizes).split_with_sizes(sizes);
    for (std::size_t rank = 0; rank < nodes.size(); ++rank) {
      if (j < nodes[rank].size()) received[rank].push_back(parts[rank]);
    }
  }
  TreeSum whole(shards_.count());
  for (std::size_t rank = 0; rank < nodes.size(); ++rank) {
    for (std::size_t j = 0; j < nodes[rank].size(); ++j) whole.push(nodes[rank][j], received[rank][j]);
  }
  return whole.root();
}

}  // namespace paddock::model
