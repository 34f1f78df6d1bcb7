#include "jobs/model/hugging_face.h"

#include <stdexcept>

#include "jobs/value_or_throw.h"
#include "storage/disk.h"

namespace paddock::jobs {

namespace {

constexpr std::uint64_t kConfigBytesMax = 16u << 20;

nlohmann::json read_object(const std::filesystem::path& path) {
  storage::RealDisk disk;
  const auto file =
      value_or_throw(storage::read_file(disk, path, kConfigBytesMax), "reading a model's config");
  auto json = nlohmann::json::parse(file.text(), nullptr, false);
  if (!json.is_object()) throw std::invalid_argument(path.string() + ": is not a JSON object");
  return json;
}

// Empty where `json` says one side, which is that of a square.
std::optional<model::Grid> grid_in(const nlohmann::json& json) {
  const auto size = json.find("image_size");
  if (size == json.end() || !size->is_array()) return std::nullopt;
  const auto patch = json.find("patch_size");
  const auto is_side = [](const nlohmann::json& side) {
    return side.is_number_integer() && side > 0 && side < 1 << 20;
  };
  if (size->size() != 2 || !is_side(size->at(0)) || !is_side(size->at(1)) || patch == json.end() ||
      !is_side(*patch))
    throw std::invalid_argument("image_size is " + size->dump() +
                                ", must be a side or [height, width] beside a patch_size");
  return model::Grid{size->at(0).get<std::int64_t>() / patch->get<std::int64_t>(),
                     size->at(1).get<std::int64_t>() / patch->get<std::int64_t>()};
}

// `at`: an object of an object, empty where there is none.
nlohmann::json object_at(const nlohmann::json& json, const char* at) {
  const auto found = json.find(at);
  return found != json.end() && found->is_object() ? *found : nlohmann::json::object();
}

std::optional<data::Normalization> normalization_in(const nlohmann::json& json, const char* mean,
                                                    const char* std) {
  if (!json.contains(mean) && !json.contains(std)) return std::nullopt;
  const std::string both = std::string(mean) + " and " + std;
  data::Normalization normalization;
  try {
    json.at(mean).get_to(normalization.mean);
    json.at(std).get_to(normalization.std);
  } catch (const nlohmann::json::exception&) {
    throw std::invalid_argument(both + " must be two lists of numbers");
  }
  if (const auto problem = data::problem_of(normalization))
    throw std::invalid_argument(both + ": " + *problem);
  return normalization;
}

std::optional<std::int64_t> heads_in(const nlohmann::json& json, const char* key) {
  const auto heads = json.find(key);
  if (heads == json.end()) return std::nullopt;
  if (!heads->is_number_integer() || heads->get<std::int64_t>() < 1)
    throw std::invalid_argument(std::string(key) + " is " + heads->dump() +
                                ", must be a whole number of at least 1");
  return heads->get<std::int64_t>();
}

std::optional<std::string> activation_in(const nlohmann::json& json, const char* key) {
  const auto activation = json.find(key);
  if (activation == json.end()) return std::nullopt;
  if (*activation != "gelu" && *activation != "quick_gelu")
    throw std::invalid_argument(std::string(key) + " is " + activation->dump() +
                                ", only gelu and quick_gelu are computed");
  return activation->get<std::string>();
}

// timm has each network of CLIP under two names, vit_base_patch16_clip_224 and vit_base_patch16_clip_quickgelu_224.
std::optional<std::string> activation_of_timm(const std::string& architecture) {
  if (architecture.find("_clip_") == std::string::npos) return std::nullopt;
  return architecture.find("quickgelu") == std::string::npos ? "gelu" : "quick_gelu";
}

HuggingFaceConfig transformers_config(const nlohmann::json& whole) {
  const nlohmann::json json = whole.contains("vision_config") ? object_at(whole, "vision_config") : whole;
  HuggingFaceConfig config;
  config.heads = heads_in(json, "num_attention_heads");
  if (const auto epsilon = json.find("layer_norm_eps"); epsilon != json.end()) {
    if (!epsilon->is_number() || !(epsilon->get<double>() > 0))
      throw std::invalid_argument("layer_norm_eps is " + epsilon->dump() + ", must be above 0");
    config.norm_epsilon = epsilon->get<double>();
  }
  config.activation = activation_in(json, "hidden_act");
  // What CLIPVisionConfig has where its file leaves it out.
  const std::string type = whole.value("model_type", "");
  if (!config.activation && (type == "clip" || type == "clip_vision_model")) config.activation = "quick_gelu";
  config.grid = grid_in(json);
  return config;
}

HuggingFaceConfig timm_config(const nlohmann::json& json) {
  const nlohmann::json arguments = object_at(json, "model_args");
  HuggingFaceConfig config;
  config.heads = heads_in(arguments, "num_heads");
  config.activation = activation_in(arguments, "act_layer");
  if (!config.activation) config.activation = activation_of_timm(json.at("architecture").get<std::string>());
  config.normalization = normalization_in(object_at(json, "pretrained_cfg"), "mean", "std");
  return config;
}

HuggingFaceConfig open_clip_config(const nlohmann::json& json) {
  const nlohmann::json model = object_at(json, "model_cfg"), vision = object_at(model, "vision_cfg");
  HuggingFaceConfig config;
  config.normalization = normalization_in(object_at(json, "preprocess_cfg"), "mean", "std");
  if (const auto timm = vision.find("timm_model_name"); timm != vision.end() && timm->is_string()) {
    config.activation = activation_of_timm(timm->get<std::string>());
    return config;
  }
  config.activation = model.value("quick_gelu", false) ? "quick_gelu" : "gelu";
  const auto width = heads_in(vision, "width"), head_width = heads_in(vision, "head_width");
  if (width) config.heads = *width / head_width.value_or(64);
  return config;
}

template <typename Read>
auto of_file(const std::filesystem::path& path, Read read) {
  const nlohmann::json json = read_object(path);
  try {
    return read(json);
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(path.string() + ": " + error.what());
  } catch (const nlohmann::json::type_error&) {
    throw std::invalid_argument(path.string() + ": has a text, number or truth value where it must not");
  }
}

}  // namespace

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
      {"image_size", options.image_height},  // that of a square table: no other is computed by these classes
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

nlohmann::ordered_json hugging_face_preprocessor(const data::Normalization& normalization) {
  constexpr int kBicubic = 3;  // as Pillow numbers its filters
  return {{"image_processor_type", "BitImageProcessor"},
          {"do_convert_rgb", normalization.channels() == 3},
          {"do_resize", true},
          {"size", {{"shortest_edge", 256}}},
          {"resample", kBicubic},
          {"do_center_crop", true},
          {"crop_size", {{"height", 224}, {"width", 224}}},
          {"do_rescale", true},
          {"rescale_factor", 1. / 255},
          {"do_normalize", true},
          {"image_mean", normalization.mean},
          {"image_std", normalization.std}};
}

PositionRule hugging_face_position_rule(std::int64_t registers) {
  return {registers > 0, 0};
}

HuggingFaceConfig read_hugging_face_config(const std::filesystem::path& path) {
  return of_file(path, [](const nlohmann::json& json) {
    const auto architecture = json.find("architecture");
    return architecture != json.end() && architecture->is_string() ? timm_config(json)
                                                                   : transformers_config(json);
  });
}

HuggingFaceConfig read_open_clip_config(const std::filesystem::path& path) {
  return of_file(path, open_clip_config);
}

std::optional<data::Normalization> read_hugging_face_preprocessor(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) return std::nullopt;
  return of_file(
      path, [](const nlohmann::json& json) { return normalization_in(json, "image_mean", "image_std"); });
}

}  // namespace paddock::jobs
