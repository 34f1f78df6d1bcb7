// tests/jobs/rank_operations.h – what one rank must get from operations with itself.
#pragma once

#include <gtest/gtest.h>
#include <torch/types.h>

#include "model/collective.h"

namespace paddock::jobs {

inline void expect_own_values_back(model::Collective& ranks, torch::Device device) {
  const auto values = torch::arange(6, torch::TensorOptions().dtype(torch::kFloat32).device(device));
  auto tensor = values.clone();
  ranks.all_reduce_sum(tensor);
  EXPECT_TRUE(torch::equal(tensor, values));
  ranks.all_reduce_max(tensor);
  EXPECT_TRUE(torch::equal(tensor, values));
  ranks.broadcast(tensor, 0);
  EXPECT_TRUE(torch::equal(tensor, values));
  // Not contiguous: in place, where the values lie.
  auto matrix = values.view({2, 3}).clone(), transposed = matrix.t();
  ranks.all_reduce_sum(transposed);
  EXPECT_TRUE(torch::equal(matrix, values.view({2, 3})));
  EXPECT_TRUE(torch::equal(ranks.all_gather(values.view({2, 3})), values.view({1, 2, 3})));
  EXPECT_TRUE(torch::equal(ranks.all_to_all(values, {6}, {6}), values));
  auto received = torch::zeros_like(values);
  if (const auto pending = ranks.begin_all_to_all(received, {6}, values, {6})) pending->wait();
  EXPECT_TRUE(torch::equal(received, values));
  EXPECT_EQ(ranks.all_gather(values).device().type(), device.type());
  ranks.barrier();
  EXPECT_GT(ranks.seconds_waited(), 0);
}

}  // namespace paddock::jobs
