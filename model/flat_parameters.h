// model/flat_parameters.h – the parameters of several networks in one contiguous block, gradients in another.
// One block makes the whole-model operations single passes: sums of gradients, updates, snapshots. The networks keep their
// tensors; these become views. Order: as given, which is fixed by the names. Each network ("backbone", "dino_head": the
// name before the first dot) begins at a multiple of kParameterBlock, the space between is zero and stays so: the norm of
// a network is a sum over whole blocks.
// A rank of several may keep a slice of the values alone (keep_slice); it computes from copies then, see weight_copies.h.
// Threads: one owner.
#pragma once

#include <torch/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/product_weights.h"
#include "model/shards.h"
#include "model/weight_copies.h"
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
  // From here on only the values in `slice` are kept. `in_products`: those of tensors() that are read through ProductWeights with
  // product_copies() and in no other way; they become stand-ins: their shape without memory, zeros, with the same gradients. All
  // others are views of whole values in float32, as before.
  void keep_slice(Range slice, const std::vector<torch::Tensor>& in_products);
  bool is_sliced() const { return copies_.has_value(); }
  std::shared_ptr<const ProductCopies> product_copies() const;

  // What values() holds of the flat parameters: all, or the slice that is kept.
  Range held() const { return held_; }
  torch::Tensor& values() { return values_; }  // [held], float32
  const torch::Tensor& values() const { return values_; }
  // After values() have changed in this rank's slice: what the others have to know of it goes to them, theirs comes here.
  // Collective, until under_way.wait().
  void begin_sharing(Collective& ranks, SlicesUnderWay& under_way);
  torch::Tensor& gradients() { return gradients_; }  // [elements]; undefined without gradients
  std::int64_t elements() const { return elements_; }
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
  std::int64_t elements_ = 0;
  Range held_;
  torch::Tensor values_, gradients_;
  std::optional<WeightCopies> copies_;
  std::vector<bool> is_stand_in_;  // each of tensors_, of a slice
  std::vector<torch::Tensor> gradient_views_;
};

}  // namespace paddock::model
