#include "model/flat_parameters.h"

#include <stdexcept>

namespace paddock::model {
namespace {

std::int64_t rounded_up(std::int64_t elements) {
  return (elements + kParameterBlock - 1) / kParameterBlock * kParameterBlock;
}

}  // namespace

FlatParameters::FlatParameters(NamedTensors tensors, bool with_gradients) : tensors_(std::move(tensors)) {
  if (tensors_.empty()) throw std::invalid_argument("no parameters to flatten");
  const torch::NoGradGuard no_grad;
  std::int64_t end = 0;
  for (const auto& [name, tensor] : tensors_) {
    const std::string network = name.substr(0, name.find('.'));
    if (networks_.empty() || networks_.back().name != network) {
      end = rounded_up(end);
      networks_.push_back({network, {end, end}});
    }
    offsets_.push_back(end);
    end += tensor.numel();
    networks_.back().elements.end = rounded_up(end);
  }
  const auto options = torch::TensorOptions().dtype(torch::kFloat32).device(tensors_.front().second.device());
  values_ = torch::zeros({rounded_up(end)}, options);
  if (with_gradients) gradients_ = torch::zeros({rounded_up(end)}, options);
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    torch::Tensor& tensor = tensors_[i].second;
    const auto view_of = [&](const torch::Tensor& flat) {
      return flat.narrow(0, offsets_[i], tensor.numel()).view(tensor.sizes());
    };
    const torch::Tensor view = view_of(values_);
    view.copy_(tensor);
    tensor.set_data(view);
    tensor.set_requires_grad(with_gradients);
    if (with_gradients) {
      gradient_views_.push_back(view_of(gradients_));
      tensor.mutable_grad() = gradient_views_.back();
    }
  }
}

NamedTensors FlatParameters::views(const std::string& prefix, const torch::Tensor& flat) const {
  NamedTensors named;
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    const auto& [name, tensor] = tensors_[i];
    named.emplace_back(prefix + name, flat.narrow(0, offsets_[i], tensor.numel()).view(tensor.sizes()));
  }
  return named;
}

void FlatParameters::zero_gradients() {
  gradients_.zero_();
  // Autograd may have replaced a gradient it found unusual; the views are the truth.
  for (std::size_t i = 0; i < tensors_.size(); ++i) tensors_[i].second.mutable_grad() = gradient_views_[i];
}

}  // namespace paddock::model
