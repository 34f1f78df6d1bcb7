// jobs/model/hugging_face.h – config.json of a Hugging Face model folder, as transformers 4.49 reads it for Dinov2Model and
// Dinov2WithRegistersModel. Their tensors' names are in model/weight_names.h. Threads: pure functions.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "model/vision_transformer.h"

namespace paddock::jobs {

// The initial values it has (initializer_range, layerscale_value) are those of the released models; weights replace them.
// `torch_dtype`: "float32", "bfloat16" or "float16", the type of the tensors beside it.
nlohmann::ordered_json hugging_face_config(const model::VisionTransformerOptions& options,
                                           const std::string& torch_dtype);

// What these classes do with positions at sizes other than the table's: no offset; smoothed only with registers.
struct PositionRule {
  bool antialias = false;
  double offset = 0;
  bool operator==(const PositionRule&) const = default;
};
PositionRule hugging_face_position_rule(std::int64_t registers);

// What a config.json says that no tensor's shape does.
struct HuggingFaceConfig {
  std::optional<std::int64_t> heads;   // num_attention_heads
  std::optional<double> norm_epsilon;  // layer_norm_eps
};

// Throws std::invalid_argument when the file cannot be read, is no JSON object, has a value of these that cannot be, or a
// hidden_act that is not the gelu VisionTransformer computes.
HuggingFaceConfig read_hugging_face_config(const std::filesystem::path& path);

}  // namespace paddock::jobs
