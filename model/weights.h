// model/weights.h – parameters by their official names, in and out.
// Names are those of the released DINOv2 files ("blocks.0.attn.qkv.weight"); a part of a larger model carries a prefix
// ("backbone.", "dino_head."). Threads: pure functions; a NamedTensors shares storage with the model it came from.
#pragma once

#include <torch/types.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace paddock::model {

// In the model's own fixed order, which is also the order of gradients and moments.
using NamedTensors = std::vector<std::pair<std::string, torch::Tensor>>;
using TensorMap = std::map<std::string, torch::Tensor>;

// The same tensors with `prefix` in front of each name.
NamedTensors with_prefix(const std::string& prefix, const NamedTensors& tensors);

// Those of `tensors` whose name begins with `prefix`, without it.
TensorMap without_prefix(const std::string& prefix, const TensorMap& tensors);

// "blocks.{chunk}.{i}.…" → "blocks.{i}.…": block-chunked training checkpoints number their blocks twice.
TensorMap flatten_chunks(const TensorMap& tensors);

// Copies `source` into the tensors of `target`, converting the dtype. Strict: throws std::invalid_argument listing every
// missing, unknown and mis-shaped name, and then nothing was copied.
void load_weights(const NamedTensors& target, const TensorMap& source);

// Total number of elements.
std::int64_t count_parameters(const NamedTensors& tensors);

}  // namespace paddock::model
