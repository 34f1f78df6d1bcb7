// model/weight_file.h – which of a file's tensors are the backbone: wrappers off, prefix found, heads and rest aside.
// A backbone is found by its patch embedding, under whatever prefix; of several the averaged one is taken.
// Threads: pure functions. Errors: std::invalid_argument.
#pragma once

#include <torch/types.h>

#include <map>
#include <string>
#include <vector>

#include "model/weights.h"

namespace paddock::model {

inline const std::string kPatchWeights = "patch_embed.proj.weight";
inline const std::string kHuggingFacePatchWeights = "embeddings.patch_embeddings.projection.weight";
inline const std::string kHuggingFaceClipPatchWeights = "embeddings.patch_embedding.weight";
inline const std::string kOpenClipPatchWeights =
    "conv1.weight";  // where transformer.resblocks.… stand beside it

struct FileTensor {
  std::string source;  // the name in the file
  torch::Tensor tensor;
};

struct WeightFile {
  std::vector<std::string> names;              // all, without wrappers' segments
  std::string prefix;                          // of the backbone, with its last dot; may be empty
  std::map<std::string, FileTensor> backbone;  // by the name after the prefix
  // Names in the file: knowingly unused; known to nobody; the same as another one but for a wrapper.
  std::vector<std::string> left_out, unknown, twice;
};

// Without the segments that DDP, FSDP, activation checkpointing and torch.compile put around a module.
std::string without_wrappers(const std::string& name);

// Throws when no tensor is a patch embedding, or when several networks are in the file and none is the averaged one.
WeightFile divide_weights(const TensorMap& tensors);

}  // namespace paddock::model
