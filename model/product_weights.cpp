#include "model/product_weights.h"

#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/variable.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace paddock::model {
namespace {

// The backward pass of a cast from float32.
struct CastNode : torch::autograd::Node {
  torch::autograd::variable_list apply(torch::autograd::variable_list&& outer) override {
    return {outer[0].defined() ? outer[0].to(torch::kFloat32) : torch::Tensor()};
  }
  std::string name() const override { return "CopyOfWeight"; }
};

}  // namespace

torch::Tensor ProductWeights::operator()(const torch::Tensor& parameter) const {
  if (!parameter.defined()) return parameter;
  if (!copies_) return type_ == torch::kFloat32 ? parameter : parameter.to(type_);
  const auto found = copies_->find(parameter.unsafeGetTensorImpl());
  if (found == copies_->end()) return parameter.to(type_);
  if (type_ != found->second.scalar_type())
    throw std::logic_error("a weight that is there in bfloat16 alone was to be used in float32");
  if (!parameter.requires_grad() || !at::GradMode::is_enabled()) return found->second;
  const std::shared_ptr<CastNode> node(new CastNode(), torch::autograd::deleteNode);
  node->set_next_edges(torch::autograd::collect_next_edges(parameter));
  auto copy = found->second.detach();
  torch::autograd::set_history(copy, node);
  return copy;
}

}  // namespace paddock::model
