#include "jobs/model/hugging_face.h"

#include <stdexcept>

#include "jobs/value_or_throw.h"
#include "storage/disk.h"

namespace paddock::jobs {

namespace {
constexpr std::uint64_t kConfigBytesMax = 16u << 20;
}

nlohmann::ordered_json hugging_face_config(const model::VisionTransformerOptions& options,
                                           const std::string& torch_dtype) {
  const bool has_registers = options.registers > 0;
  nlohmann::ordered_json config = {
      {"architectures", {has_registers ? "Dinov2WithRegistersModel" : "Dinov2Model"}},
      {"model_type", has_registers ? "dinov2_with_registers" : "dinov2"},
      {"hidden_size", options.embed_dim},
      {"num_hidden_layers", options.depth},
      {"num_attention_heads", options.heads},
      {"mlp_ratio", 4},
      {"hidden_act", "gelu"},
      {"hidden_dropout_prob", 0.0},
      {"attention_probs_dropout_prob", 0.0},
      {"initializer_range", 0.02},
      {"layer_norm_eps", options.norm_epsilon},
      {"image_size", options.image_size},
      {"patch_size", options.patch_size},
      {"num_channels", options.channels},
      {"qkv_bias", true},
      {"layerscale_value", 1.0},
      {"drop_path_rate", 0.0},
      {"use_swiglu_ffn", options.ffn == "swiglu"}};
  if (has_registers) config["num_register_tokens"] = options.registers;
  config["torch_dtype"] = torch_dtype;
  return config;
}

PositionRule hugging_face_position_rule(std::int64_t registers) {
  return {registers > 0, 0};
}

HuggingFaceConfig read_hugging_face_config(const std::filesystem::path& path) {
  storage::RealDisk disk;
  const auto file =
      value_or_throw(storage::read_file(disk, path, kConfigBytesMax), "reading a model's config");
  const auto refuse = [&path](const std::string& why) {
    throw std::invalid_argument(path.string() + ": " + why);
  };
  const auto json = nlohmann::json::parse(file.text(), nullptr, false);
  if (!json.is_object()) refuse("is not a JSON object");
  HuggingFaceConfig config;
  if (const auto heads = json.find("num_attention_heads"); heads != json.end()) {
    if (!heads->is_number_integer() || heads->get<std::int64_t>() < 1)
      refuse("num_attention_heads is " + heads->dump() + ", must be a whole number of at least 1");
    config.heads = heads->get<std::int64_t>();
  }
  if (const auto epsilon = json.find("layer_norm_eps"); epsilon != json.end()) {
    if (!epsilon->is_number() || !(epsilon->get<double>() > 0))
      refuse("layer_norm_eps is " + epsilon->dump() + ", must be above 0");
    config.norm_epsilon = epsilon->get<double>();
  }
  if (const auto act = json.find("hidden_act"); act != json.end() && *act != "gelu")
    refuse("hidden_act is " + act->dump() + ", only gelu is computed");
  return config;
}

}  // namespace paddock::jobs
