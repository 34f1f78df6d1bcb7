// model/weight_copies.h – what a rank computes from when it has only a slice of the float32 weights.
// Of every parameter the whole values, but no more than is used: of those that go into products alone (product_weights.h) in
// bfloat16, of the rest (gains, positions, tokens, prototypes) in float32. Each kind lies in one block, in the order of the flat
// parameters, so a rank's slice of those is one stretch of each block: what it sends to the others after an update.
// Threads: one owner.
#pragma once

#include <torch/types.h>

#include <array>
#include <cstdint>
#include <vector>

#include "model/shards.h"

namespace paddock::model {

class WeightCopies {
 public:
  struct Parameter {
    Range elements;               // of the flat parameters
    bool is_in_products = false;  // and nowhere else
  };

  // Zeros. `parameters`: in their order.
  WeightCopies(const std::vector<Parameter>& parameters, torch::Device device);

  // Of the i-th parameter: [its elements], a view, bfloat16 or float32.
  torch::Tensor of(std::size_t i) const;
  // Those of the flat parameters in `slice`, from their float32 values [slice].
  void write(const torch::Tensor& values, Range slice);
  // Each rank's slice of `elements` flat parameters to all others. Collective.
  void begin_sharing(std::int64_t elements, Collective& ranks, SlicesUnderWay& under_way);

 private:
  // The parameters of a kind, one after the other, each beginning where a tensor of its own would: at a multiple of 512 bytes, so
  // that a library's choice of kernel does not depend on what lies before.
  struct Block {
    torch::Tensor values;
    std::vector<Range> parameters;     // of the flat parameters
    std::vector<std::int64_t> begins;  // of each in `values`
    // Of a slice of the flat parameters; all slices together are the whole block.
    Range stretch(Range slice) const;
    std::int64_t place(std::int64_t element) const;
  };
  struct Place {
    std::size_t block, index;
  };

  std::array<Block, 2> blocks_;  // in products, others
  std::vector<Place> places_;    // of each parameter
};

}  // namespace paddock::model
