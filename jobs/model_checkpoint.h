// jobs/model_checkpoint.h – a trained backbone out of a run's checkpoint, for curate, evaluate and distill.
// The architecture comes from the checkpoint's state ("backbone"), the tensors from its files: "teacher.backbone.…" is
// the averaged model that is judged and released, "student.backbone.…" the one being optimised.
// Throws std::invalid_argument when the folder holds no such model, std::runtime_error when it is damaged.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "data/normalization.h"
#include "model/headed_backbone.h"
#include "storage/checkpoint.h"

namespace paddock::jobs {

struct LoadedBackbone {
  std::unique_ptr<model::VisionTransformer> network;  // no gradients
  data::Normalization normalization;                  // that it was trained with
  nlohmann::json state;  // of the checkpoint: {"kind", "step", "backbone", "options", …}
  std::string hash;      // the checkpoint's identity
};

// `role`: "teacher" or "student".
LoadedBackbone load_backbone(const std::string& checkpoint_dir, const std::string& role = "teacher");

// Backbone and heads of a role, as far as a teacher needs them: their options and weights.
struct LoadedNetworks {
  model::HeadedBackboneOptions options;
  data::Normalization normalization;
  model::TensorMap weights;  // "backbone.…", "dino_head.…", "ibot_head.…"
  std::string hash;
};
LoadedNetworks load_networks(const std::string& checkpoint_dir, const std::string& role = "teacher");

nlohmann::json head_to_json(const model::DinoHeadOptions& options);
model::DinoHeadOptions head_from_json(const nlohmann::json& json);
nlohmann::json backbone_to_json(const model::VisionTransformerOptions& options);
// Throws std::invalid_argument naming the field that is missing or wrong.
model::VisionTransformerOptions backbone_from_json(const nlohmann::json& json);
nlohmann::json normalization_to_json(const data::Normalization& normalization);
// Of a checkpoint's state, which says it beside the backbone. Throws std::invalid_argument when it does not fit the
// backbone's channels, or when pictures are not made of so many.
data::Normalization normalization_of_state(const nlohmann::json& state);

}  // namespace paddock::jobs
