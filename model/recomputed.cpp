#include "model/recomputed.h"

#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <utility>

namespace paddock::model {
namespace {

// Inputs are x and the weights.
struct RecomputedNode : torch::autograd::Node {
  torch::autograd::variable_list apply(torch::autograd::variable_list&& outer) override {
    if (!part) throw std::logic_error("the part's graph was used before and keeps nothing");
    const at::AutoGradMode with_graph(true);
    torch::autograd::variable_list inputs{x.detach().requires_grad_(true)};
    const auto output = part(inputs[0]);
    for (const auto& weight : weights)
      if (weight.requires_grad()) inputs.push_back(weight);
    auto gradients = torch::autograd::grad({output}, inputs, {outer[0]}, false, false, true);
    torch::autograd::variable_list all{std::move(gradients[0])};
    auto next = gradients.begin() + 1;
    for (const auto& weight : weights)
      all.push_back(weight.requires_grad() ? std::move(*next++) : torch::Tensor());
    return all;
  }
  void release_variables() override {
    part = nullptr;
    x.reset();
    weights.clear();
  }
  std::string name() const override { return "Recomputed"; }

  std::function<torch::Tensor(const torch::Tensor&)> part;
  torch::Tensor x;
  std::vector<torch::Tensor> weights;
};

}  // namespace

torch::Tensor recomputed(const std::function<torch::Tensor(const torch::Tensor&)>& part,
                         const torch::Tensor& x, const std::vector<torch::Tensor>& weights) {
  std::vector<torch::Tensor> defined;
  std::ranges::copy_if(weights, std::back_inserter(defined),
                       [](const auto& weight) { return weight.defined(); });
  const bool is_wanted = x.requires_grad() || std::ranges::any_of(defined, [](const auto& weight) {
                           return weight.requires_grad();
                         });
  if (!is_wanted || !at::GradMode::is_enabled()) return part(x);
  const std::shared_ptr<RecomputedNode> node(new RecomputedNode(), torch::autograd::deleteNode);
  torch::autograd::variable_list inputs{x};
  inputs.insert(inputs.end(), defined.begin(), defined.end());
  node->set_next_edges(torch::autograd::collect_next_edges(inputs));
  node->part = part;
  node->x = x.detach();
  node->weights = std::move(defined);
  // With a graph, which is dropped at once: where part asks whether there is one it must get the answer that it gets later.
  auto output = part(node->x.detach().requires_grad_(true)).detach();
  torch::autograd::set_history(output, node);
  return output;
}

}  // namespace paddock::model
