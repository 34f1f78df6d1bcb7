// model/recomputed.h – activation checkpointing: a part of the graph that keeps its input alone and runs again when its
// gradient is asked for. Source: Chen et al., "Training Deep Nets with Sublinear Memory Cost" (arXiv 1604.06174).
// Threads: from one. Errors: what `part` throws; std::logic_error when the graph is used a second time.
#pragma once

#include <torch/types.h>

#include <functional>
#include <vector>

namespace paddock::model {

// part(x), differentiable in x and in `weights`: all the tensors that `part` reads, undefined ones are passed over. `part`
// must compute the same whenever it is called and may be called until the result's graph is gone. Where no gradient is wanted it
// is just called.
torch::Tensor recomputed(const std::function<torch::Tensor(const torch::Tensor& x)>& part,
                         const torch::Tensor& x, const std::vector<torch::Tensor>& weights);

}  // namespace paddock::model
