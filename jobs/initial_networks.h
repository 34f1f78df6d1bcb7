// jobs/initial_networks.h – weights that a training run begins from, resized to its pictures: another run's averaged networks
// with their heads, or anybody's backbone without. Threads: a pure function of the files.
#pragma once

#include <optional>
#include <string>

#include "data/normalization.h"
#include "model/headed_backbone.h"

namespace paddock::jobs {

struct InitialNetworks {
  model::VisionTransformerOptions backbone;  // its table of positions has the new size already
  // Of a run's checkpoint; a backbone alone has none.
  std::optional<model::DinoHeadOptions> dino_head, ibot_head;
  std::optional<data::Normalization> normalization;  // empty: nobody knows
  model::TensorMap weights;                          // "backbone.…", "dino_head.…", "ibot_head.…"
  std::string hash;                                  // of the weights as they were
};

// `path`: a checkpoint folder, or what jobs/model/load_weights.h reads. `image_size`: side of the global crops, pixels.
// Throws std::invalid_argument when there is no such file, when the patch does not divide image_size, or when the network
// cannot be trained here (no class token); std::runtime_error when the file is damaged.
InitialNetworks load_initial_networks(const std::string& path, std::int64_t image_size);

}  // namespace paddock::jobs
