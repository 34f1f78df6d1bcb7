// model/flat_parameters.h – the parameters of several networks in one contiguous block, gradients in another.
// One block makes the whole-model operations single passes: all-reduce of gradients, EMA, snapshots. The networks keep
// their tensors; these become views. Order: as given, which is fixed by the names. Threads: one owner.
#pragma once

#include <torch/types.h>

#include "model/weights.h"

namespace paddock::model {

class FlatParameters {
 public:
  // Moves the values of `tensors` into one float32 block. `with_gradients`: they become leaves that require gradients,
  // each gradient a view into gradients().
  FlatParameters(NamedTensors tensors, bool with_gradients);

  const NamedTensors& tensors() const { return tensors_; }
  torch::Tensor& values() { return values_; }  // [count]
  const torch::Tensor& values() const { return values_; }
  torch::Tensor& gradients() { return gradients_; }  // [count]; undefined without gradients
  // Of tensors()[i], in its shape, a view.
  const std::vector<torch::Tensor>& gradient_views() const { return gradient_views_; }
  void zero_gradients();

 private:
  NamedTensors tensors_;
  torch::Tensor values_, gradients_;
  std::vector<torch::Tensor> gradient_views_;
};

}  // namespace paddock::model
