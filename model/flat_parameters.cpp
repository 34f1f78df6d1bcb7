#include "model/flat_parameters.h"

#include <stdexcept>

namespace paddock::model {

FlatParameters::FlatParameters(NamedTensors tensors, bool with_gradients) : tensors_(std::move(tensors)) {
  if (tensors_.empty()) throw std::invalid_argument("no parameters to flatten");
  const torch::NoGradGuard no_grad;
  const auto options = torch::TensorOptions().dtype(torch::kFloat32).device(tensors_.front().second.device());
  values_ = torch::empty({count_parameters(tensors_)}, options);
  if (with_gradients) gradients_ = torch::zeros({count_parameters(tensors_)}, options);
  std::int64_t offset = 0;
  for (auto& [name, tensor] : tensors_) {
    torch::Tensor view = values_.narrow(0, offset, tensor.numel()).view(tensor.sizes());
    view.copy_(tensor);
    tensor.set_data(view);
    tensor.set_requires_grad(with_gradients);
    if (with_gradients) {
      gradient_views_.push_back(gradients_.narrow(0, offset, tensor.numel()).view(tensor.sizes()));
      tensor.mutable_grad() = gradient_views_.back();
    }
    offset += tensor.numel();
  }
}

void FlatParameters::zero_gradients() {
  gradients_.zero_();
  // Autograd may have replaced a gradient it found unusual; the views are the truth.
  for (std::size_t i = 0; i < tensors_.size(); ++i) tensors_[i].second.mutable_grad() = gradient_views_[i];
}

}  // namespace paddock::model
