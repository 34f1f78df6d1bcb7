// model/flat_parameters.h – the parameters of several networks in one contiguous block, gradients in another.
// One block makes the whole-model operations single passes: sums of gradients, updates, snapshots. The networks keep their
// tensors; these become views. Order: as given, which is fixed by the names. Each network ("backbone", "dino_head": the
// name before the first dot) begins at a multiple of kParameterBlock, the space between is zero and stays so: the norm of
// a network is a sum over whole blocks. Threads: one owner.
#pragma once

#include <torch/types.h>

#include <string>
#include <vector>

#include "model/shards.h"
#include "model/weights.h"

namespace paddock::model {

class FlatParameters {
 public:
  struct Network {
    std::string name;
    Range elements;  // of the flat block, whole blocks
  };

  // Moves the values of `tensors` into one float32 block. `with_gradients`: they become leaves that require gradients,
  // each gradient a view into gradients().
  FlatParameters(NamedTensors tensors, bool with_gradients);

  const NamedTensors& tensors() const { return tensors_; }
  const std::vector<Network>& networks() const { return networks_; }
  torch::Tensor& values() { return values_; }  // [elements]
  const torch::Tensor& values() const { return values_; }
  torch::Tensor& gradients() { return gradients_; }  // [elements]; undefined without gradients
  std::int64_t elements() const { return values_.numel(); }
  // Where tensors()[i] begins in the flat block.
  std::int64_t offset(std::size_t i) const { return offsets_[i]; }
  // Views of `flat`, laid out as values(), under the parameters' names and shapes.
  NamedTensors views(const std::string& prefix, const torch::Tensor& flat) const;
  // Of tensors()[i], in its shape, a view.
  const std::vector<torch::Tensor>& gradient_views() const { return gradient_views_; }
  void zero_gradients();

 private:
  NamedTensors tensors_;
  std::vector<std::int64_t> offsets_;
  std::vector<Network> networks_;
  torch::Tensor values_, gradients_;
  std::vector<torch::Tensor> gradient_views_;
};

}  // namespace paddock::model
