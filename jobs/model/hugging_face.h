// jobs/model/hugging_face.h – config.json and preprocessor_config.json of a Hugging Face model folder, as transformers 4.49
// reads them for Dinov2Model, Dinov2WithRegistersModel and BitImageProcessor. Their tensors' names are in
// model/weight_names.h. Threads: pure functions.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "data/normalization.h"
#include "model/vision_transformer.h"

namespace paddock::jobs {

// The initial values it has (initializer_range, layerscale_value) are those of the released models; weights replace them.
// `torch_dtype`: "float32", "bfloat16" or "float16", the type of the tensors beside it.
nlohmann::ordered_json hugging_face_config(const model::VisionTransformerOptions& options,
                                           const std::string& torch_dtype);

// How pictures are made ready for it, so that whoever loads the folder does it alike: as DINOv2 evaluates at 224 pixels,
// with this normalisation.
nlohmann::ordered_json hugging_face_preprocessor(const data::Normalization& normalization);

// What these classes do with positions at sizes other than the table's: no offset; smoothed only with registers.
struct PositionRule {
  bool antialias = false;
  double offset = 0;
  bool operator==(const PositionRule&) const = default;
};
PositionRule hugging_face_position_rule(std::int64_t registers);

// What a config says that no tensor's shape does.
struct HuggingFaceConfig {
  std::optional<std::int64_t> heads;      // num_attention_heads
  std::optional<double> norm_epsilon;     // layer_norm_eps
  std::optional<model::Grid> grid;        // image_size / patch_size, where image_size is [height, width]
  std::optional<std::string> activation;  // hidden_act, as VisionTransformerOptions has it
  std::optional<data::Normalization> normalization;
};

// A config.json of transformers (of a model of pictures and text its vision_config) or of timm, whose "architecture" and
// "model_args" say the activation. Throws std::invalid_argument when the file cannot be read, is no JSON object, has a value
// of these that cannot be, or an activation that VisionTransformer does not compute.
HuggingFaceConfig read_hugging_face_config(const std::filesystem::path& path);
// An open_clip_config.json, in the same way: heads from width and head_width, the activation from quick_gelu.
HuggingFaceConfig read_open_clip_config(const std::filesystem::path& path);

// image_mean and image_std of a preprocessor_config.json; empty: there is no such file, or neither is in it. Throws
// std::invalid_argument when they are no normalisation.
std::optional<data::Normalization> read_hugging_face_preprocessor(const std::filesystem::path& path);

}  // namespace paddock::jobs
