// tests/model/fused_update_case.h – arrays of an odd length for the fused update, drawn from LibTorch's global generator.
#pragma once

#include <ATen/Functions.h>
#include <torch/types.h>

#include "model/kernels/fused_update.h"

namespace paddock::model {

struct Case {
  torch::Tensor value = torch::randn({1003}), gradient = torch::randn({1003}),
                first = torch::randn({1003}) * .1, second = torch::rand({1003}),
                average = torch::randn({1003});
  torch::Tensor value_bf16 = torch::zeros({1003}, torch::kBFloat16),
                average_bf16 = torch::zeros({1003}, torch::kBFloat16);

  FusedUpdateArrays arrays() const {
    return {value.data_ptr<float>(),
            gradient.data_ptr<float>(),
            first.data_ptr<float>(),
            second.data_ptr<float>(),
            average.data_ptr<float>(),
            static_cast<std::uint16_t*>(value_bf16.data_ptr()),
            static_cast<std::uint16_t*>(average_bf16.data_ptr()),
            value.numel()};
  }
};

inline UpdateNumbers some_numbers() {
  UpdateNumbers numbers;
  numbers.lr = .01;
  numbers.weight_decay = .05;
  numbers.update = 7;
  numbers.momentum = .99;
  return numbers;
}

}  // namespace paddock::model
