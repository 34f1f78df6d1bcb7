#include "model/flat_parameters.h"

#include <algorithm>
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
  elements_ = rounded_up(end);
  held_ = {0, elements_};
  values_ = torch::zeros({elements_}, options);
  if (with_gradients) gradients_ = torch::zeros({elements_}, options);
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

void FlatParameters::keep_slice(Range slice, const std::vector<torch::Tensor>& in_products) {
  if (is_sliced()) throw std::logic_error("the parameters are cut into slices already");
  const torch::NoGradGuard no_grad;
  std::vector<WeightCopies::Parameter> parameters;
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    const torch::Tensor& tensor = tensors_[i].second;
    is_stand_in_.push_back(
        std::ranges::any_of(in_products, [&](const auto& other) { return other.is_same(tensor); }));
    parameters.push_back({{offsets_[i], offsets_[i] + tensor.numel()}, is_stand_in_.back()});
  }
  copies_.emplace(parameters, values_.device());
  copies_->write(values_, held_);
  held_ = slice;
  values_ = values_.narrow(0, slice.begin, slice.size()).clone();
  const auto zero = torch::zeros({1}, values_.options());
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    torch::Tensor& tensor = tensors_[i].second;
    const auto sizes = tensor.sizes().vec();
    tensor.set_data(is_stand_in_[i] ? zero.expand(sizes) : copies_->of(i).view(sizes));
  }
}

std::shared_ptr<const ProductCopies> FlatParameters::product_copies() const {
  auto copies = std::make_shared<ProductCopies>();
  for (std::size_t i = 0; i < is_stand_in_.size(); ++i) {
    const torch::Tensor& tensor = tensors_[i].second;
    if (is_stand_in_[i]) copies->emplace(tensor.unsafeGetTensorImpl(), copies_->of(i).view(tensor.sizes()));
  }
  return copies;
}

void FlatParameters::begin_sharing(Collective& ranks, SlicesUnderWay& under_way) {
  if (!is_sliced()) {
    under_way.begin(values_, ranks);
    return;
  }
  under_way.wait();
  copies_->write(values_, held_);
  copies_->begin_sharing(elements_, ranks, under_way);
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
