// model/product_weights.h – weights in the type that matrix products compute in.
// As a rule that is a cast inside the graph. Where no rank has a weight whole in float32 (weight_copies.h) the parameter is a
// stand-in that only carries the gradient, and its bfloat16 copy is taken: the same bits forward and backward, since the copy is
// what the cast would give, and the gradient of a cast is a cast.
// Threads: const members from any thread.
#pragma once

#include <torch/types.h>

#include <memory>
#include <unordered_map>

namespace paddock::model {

// Of each parameter that stands in for a copy: that copy, bfloat16 in its shape.
using ProductCopies = std::unordered_map<const c10::TensorImpl*, torch::Tensor>;

class ProductWeights {
 public:
  torch::ScalarType type() const { return type_; }
  void set_type(torch::ScalarType type) { type_ = type; }  // kFloat32, as it is at first, or kBFloat16
  // From here on the copies are taken for the parameters that have one.
  void set_copies(std::shared_ptr<const ProductCopies> copies) { copies_ = std::move(copies); }
  bool has_copies() const { return copies_ != nullptr; }

  // `parameter`, float32 (undefined: so is the result), in type(), differentiable. Throws std::logic_error where it has a copy and
  // type() is float32: nobody has that value.
  torch::Tensor operator()(const torch::Tensor& parameter) const;

 private:
  torch::ScalarType type_ = torch::kFloat32;
  std::shared_ptr<const ProductCopies> copies_;
};

}  // namespace paddock::model
