#include "model/gradient_sum.h"

#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <utility>

namespace paddock::model {
namespace {

Range common(Range a, Range b) {
  const std::int64_t begin = std::max(a.begin, b.begin);
  return {begin, std::max(begin, std::min(a.end, b.end))};
}

}  // namespace

// A stretch of the flat gradient that travels together: whole blocks of one network.
struct GradientSum::Bucket {
  // The j-th node of every rank at once: each rank gets its slice of it from all.
  struct Exchange {
    torch::Tensor received;
    std::vector<std::int64_t> sizes;  // from each rank
    std::unique_ptr<Collective::Pending> pending;
  };

  Range elements;
  std::size_t parameters = 0;  // that have a part in it
  TreeSum tree;
  std::vector<torch::Tensor> spares;  // buffers of earlier steps
  std::size_t awaited = 0;            // of its parameters, in this pass
  std::vector<Exchange> exchanges;

  torch::Tensor spare(const torch::Tensor& like) {
    if (spares.empty()) return torch::empty_like(like);
    auto buffer = spares.back();
    spares.pop_back();
    return buffer;
  }
};

class GradientSum::Hook final : public torch::autograd::PostAccumulateGradHook {
 public:
  Hook(GradientSum& sum, std::size_t parameter) : sum_(sum), parameter_(parameter) {}
  void operator()(const torch::autograd::Variable&) override { sum_.arrived(parameter_); }

 private:
  GradientSum& sum_;
  const std::size_t parameter_;
};

GradientSum::GradientSum(FlatParameters& parameters, const Shards& shards, std::int64_t bucket_elements)
    : parameters_(parameters),
      shards_(shards),
      slice_(slice_of_rank(parameters.elements(), shards.ranks().rank(), shards.ranks().ranks())),
      next_(shards.own().begin) {
  if (bucket_elements <= 0 || bucket_elements % kParameterBlock != 0)
    throw std::invalid_argument("a bucket is no multiple of the block");
  if (shards.ranks().ranks() == 1) {
    buckets_.push_back({{0, parameters.elements()}, 0, TreeSum(shards.count()), {}, 0, {}});
    return;
  }
  cut_into_buckets(bucket_elements);
  watch_parameters();
  sum_ = torch::zeros({slice_.size()}, parameters.values().options());
}

GradientSum::~GradientSum() {
  if (has_arrived_.empty()) return;
  for (const auto& named : parameters_.tensors())
    torch::autograd::impl::set_post_acc_grad_hooks(named.second, nullptr);
}

void GradientSum::cut_into_buckets(std::int64_t bucket_elements) {
  const auto& networks = parameters_.networks();
  for (auto network = networks.rbegin(); network != networks.rend(); ++network) {
    for (std::int64_t end = network->elements.end; end > network->elements.begin; end -= bucket_elements)
      buckets_.push_back({{std::max(end - bucket_elements, network->elements.begin), end},
                          0,
                          TreeSum(shards_.count()),
                          {},
                          0,
                          {}});
  }
}

void GradientSum::watch_parameters() {
  const auto& tensors = parameters_.tensors();
  buckets_of_.resize(tensors.size());
  has_arrived_.resize(tensors.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const Range place{parameters_.offset(i), parameters_.offset(i) + tensors[i].second.numel()};
    for (std::size_t b = 0; b < buckets_.size(); ++b) {
      if (common(place, buckets_[b].elements).size() == 0) continue;
      buckets_of_[i].push_back(b);
      ++buckets_[b].parameters;
    }
    torch::autograd::impl::set_post_acc_grad_hooks(tensors[i].second, std::make_unique<Hook>(*this, i));
  }
  for (Bucket& bucket : buckets_) bucket.awaited = bucket.parameters;
}

void GradientSum::arrived(std::size_t parameter) {
  if (!is_last_shard()) return;
  if (has_arrived_[parameter])
    throw std::logic_error("a second backward pass for one shard: gradients of the first have left");
  has_arrived_[parameter] = true;
  for (const std::size_t b : buckets_of_[parameter]) --buckets_[b].awaited;
  for (; taken_ < buckets_.size() && buckets_[taken_].awaited == 0; ++taken_) {
    take(buckets_[taken_]);
    begin_exchange(buckets_[taken_]);
  }
}

void GradientSum::take(Bucket& bucket) {
  const torch::NoGradGuard no_grad;
  if (next_ == shards_.own().begin) {  // a new step: the buffers of the last one are free
    for (const auto& node : bucket.tree.nodes()) bucket.spares.push_back(node.sum);
    bucket.tree = TreeSum(shards_.count());
  }
  const auto gradient = parameters_.gradients().narrow(0, bucket.elements.begin, bucket.elements.size());
  auto leaf = bucket.spare(gradient);
  leaf.copy_(gradient);
  for (auto& freed : bucket.tree.push({next_, next_ + 1}, leaf)) bucket.spares.push_back(std::move(freed));
}

void GradientSum::add_shard() {
  const bool is_last = is_last_shard();
  for (; taken_ < buckets_.size(); ++taken_) {
    take(buckets_[taken_]);
    if (is_last && shards_.ranks().ranks() > 1) begin_exchange(buckets_[taken_]);
  }
  taken_ = 0;
  std::fill(has_arrived_.begin(), has_arrived_.end(), false);
  for (Bucket& bucket : buckets_) bucket.awaited = bucket.parameters;
  next_ = is_last ? shards_.own().begin : next_ + 1;
  parameters_.zero_gradients();
}

void GradientSum::begin_exchange(Bucket& bucket) {
  const torch::NoGradGuard no_grad;
  Collective& ranks = shards_.ranks();
  std::vector<std::size_t> nodes;
  std::vector<std::int64_t> slice_sizes;
  for (std::int64_t rank = 0; rank < ranks.ranks(); ++rank) {
    nodes.push_back(TreeSum::nodes_of(shards_.of_rank(rank), shards_.count()).size());
    const Range slice = slice_of_rank(parameters_.elements(), rank, ranks.ranks());
    slice_sizes.push_back(common(slice, bucket.elements).size());
  }
  const std::int64_t own_size = common(slice_, bucket.elements).size();
  for (std::size_t j = 0; j < std::ranges::max(nodes); ++j) {
    const bool is_sending = j < bucket.tree.nodes().size();
    const auto sent = is_sending ? bucket.tree.nodes()[j].sum : parameters_.gradients().narrow(0, 0, 0);
    const auto sent_sizes = is_sending ? slice_sizes : std::vector<std::int64_t>(nodes.size(), 0);
    Bucket::Exchange exchange;
    for (const std::size_t of_rank : nodes) exchange.sizes.push_back(j < of_rank ? own_size : 0);
    const auto size = std::accumulate(exchange.sizes.begin(), exchange.sizes.end(), std::int64_t{0});
    exchange.received = torch::empty({size}, sent.options());
    exchange.pending = ranks.begin_all_to_all(exchange.received, exchange.sizes, sent, sent_sizes);
    bucket.exchanges.push_back(std::move(exchange));
  }
}

void GradientSum::finish_exchange(Bucket& bucket) {
  Collective& ranks = shards_.ranks();
  std::vector<std::vector<torch::Tensor>> parts;  // [node][rank]
  for (const auto& exchange : bucket.exchanges) {
    if (exchange.pending) exchange.pending->wait();
    parts.push_back(exchange.received.split_with_sizes(exchange.sizes));
  }
  bucket.exchanges.clear();
  TreeSum whole(shards_.count());
  for (std::int64_t rank = 0; rank < ranks.ranks(); ++rank) {
    const auto nodes = TreeSum::nodes_of(shards_.of_rank(rank), shards_.count());
    for (std::size_t j = 0; j < nodes.size(); ++j)
      whole.push(nodes[j], parts[j][static_cast<std::size_t>(rank)]);
  }
  const Range own = common(slice_, bucket.elements);
  if (own.size() > 0) sum_.narrow(0, own.begin - slice_.begin, own.size()).copy_(whole.root());
}

torch::Tensor GradientSum::reduce() {
  const torch::NoGradGuard no_grad;
  if (shards_.ranks().ranks() == 1) return buckets_.front().tree.root();
  for (Bucket& bucket : buckets_) finish_exchange(bucket);
  return sum_;
}

}  // namespace paddock::model
