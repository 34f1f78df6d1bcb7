#include "jobs/model_checkpoint.h"

#include <stdexcept>

#include "jobs/tensors.h"
#include "jobs/value_or_throw.h"

namespace paddock::jobs {
namespace {

template <typename Value>
Value field(const nlohmann::json& json, const char* key) {
  try {
    return json.at(key).get<Value>();
  } catch (const nlohmann::json::exception&) {
    throw std::invalid_argument(std::string("the checkpoint's state has no usable field '") + key + "'");
  }
}

storage::Checkpoint load_trained(const std::string& checkpoint_dir) {
  storage::RealDisk disk;
  auto checkpoint = value_or_throw(storage::load_checkpoint(disk, checkpoint_dir), "loading a model");
  if (checkpoint.state().contains("students"))
    throw std::invalid_argument(
        "the checkpoint " + checkpoint_dir +
        " is that of a run of several students; take one of theirs, which the run leaves under "
        "students/NAME/checkpoints when it has finished");
  if (!checkpoint.state().contains("backbone"))
    throw std::invalid_argument("the checkpoint " + checkpoint_dir +
                                " has no 'backbone' in its state; is it of a training run?");
  return checkpoint;
}

model::TensorMap weights_of(const storage::Checkpoint& checkpoint, const std::string& role) {
  const auto tensors =
      value_or_throw(checkpoint.tensors(role + ".safetensors"),
                     "the weights of the " + role + " in " + checkpoint.info().path.string());
  return model::without_prefix(role + ".", tensors_of_bytes(tensors));
}

}  // namespace

nlohmann::json backbone_to_json(const model::VisionTransformerOptions& o) {
  return {{"image_height", o.image_height},
          {"image_width", o.image_width},
          {"patch_size", o.patch_size},
          {"embed_dim", o.embed_dim},
          {"depth", o.depth},
          {"heads", o.heads},
          {"registers", o.registers},
          {"channels", o.channels},
          {"ffn", o.ffn},
          {"layerscale", o.layerscale},
          {"norm_epsilon", o.norm_epsilon},
          {"drop_path", o.drop_path},
          {"interpolate_antialias", o.interpolate_antialias},
          {"interpolate_offset", o.interpolate_offset},
          {"class_token", o.class_token},
          {"patch_bias", o.patch_bias},
          {"pre_norm", o.pre_norm},
          {"activation", o.activation},
          {"ffn_hidden", o.ffn_hidden}};
}

model::VisionTransformerOptions backbone_from_json(const nlohmann::json& json) {
  model::VisionTransformerOptions o;
  // Checkpoints of before rectangular tables of positions say one side.
  const bool is_square = json.contains("image_size");
  o.image_height = field<std::int64_t>(json, is_square ? "image_size" : "image_height");
  o.image_width = field<std::int64_t>(json, is_square ? "image_size" : "image_width");
  o.patch_size = field<std::int64_t>(json, "patch_size");
  o.embed_dim = field<std::int64_t>(json, "embed_dim");
  o.depth = field<std::int64_t>(json, "depth");
  o.heads = field<std::int64_t>(json, "heads");
  o.registers = field<std::int64_t>(json, "registers");
  o.channels = field<std::int64_t>(json, "channels");
  o.ffn = field<std::string>(json, "ffn");
  o.layerscale = field<double>(json, "layerscale");
  // Checkpoints of before other epsilons could be computed do not say theirs, which is the default.
  if (json.contains("norm_epsilon")) o.norm_epsilon = field<double>(json, "norm_epsilon");
  o.drop_path = field<double>(json, "drop_path");
  o.interpolate_antialias = field<bool>(json, "interpolate_antialias");
  o.interpolate_offset = field<double>(json, "interpolate_offset");
  // Checkpoints of before other methods' networks could be computed have none of these, and the defaults.
  if (json.contains("class_token")) o.class_token = field<bool>(json, "class_token");
  if (json.contains("patch_bias")) o.patch_bias = field<bool>(json, "patch_bias");
  if (json.contains("pre_norm")) o.pre_norm = field<bool>(json, "pre_norm");
  if (json.contains("activation")) o.activation = field<std::string>(json, "activation");
  if (json.contains("ffn_hidden")) o.ffn_hidden = field<std::int64_t>(json, "ffn_hidden");
  return o;
}

nlohmann::json normalization_to_json(const data::Normalization& normalization) {
  return {{"mean", normalization.mean}, {"std", normalization.std}};
}

data::Normalization normalization_of_state(const nlohmann::json& state) {
  const auto channels = field<std::int64_t>(field<nlohmann::json>(state, "backbone"), "channels");
  if (!data::is_channel_count(channels))
    throw std::invalid_argument("the checkpoint's network takes " + std::to_string(channels) +
                                " channels, and pictures are made of 1, 3 or 4");
  // Checkpoints of before it could be chosen were all trained with the usual one.
  if (!state.contains("normalization")) return data::usual_normalization(static_cast<int>(channels));
  const auto said = field<nlohmann::json>(state, "normalization");
  data::Normalization normalization{field<std::vector<double>>(said, "mean"),
                                    field<std::vector<double>>(said, "std")};
  if (normalization.channels() != channels || data::problem_of(normalization))
    throw std::invalid_argument("the checkpoint's normalization is " + said.dump() +
                                ", must be a mean and a "
                                "deviation above 0 for each of its network's " +
                                std::to_string(channels) + " channels");
  return normalization;
}

nlohmann::json head_to_json(const model::DinoHeadOptions& o) {
  return {
      {"prototypes", o.prototypes}, {"hidden", o.hidden}, {"bottleneck", o.bottleneck}, {"layers", o.layers}};
}

model::DinoHeadOptions head_from_json(const nlohmann::json& json) {
  model::DinoHeadOptions o;
  o.prototypes = field<std::int64_t>(json, "prototypes");
  o.hidden = field<std::int64_t>(json, "hidden");
  o.bottleneck = field<std::int64_t>(json, "bottleneck");
  o.layers = field<std::int64_t>(json, "layers");
  return o;
}

LoadedBackbone load_backbone(const std::string& checkpoint_dir, const std::string& role) {
  const auto checkpoint = load_trained(checkpoint_dir);
  const auto weights = weights_of(checkpoint, role);
  LoadedBackbone loaded;
  loaded.network =
      std::make_unique<model::VisionTransformer>(backbone_from_json(checkpoint.state().at("backbone")));
  loaded.normalization = normalization_of_state(checkpoint.state());
  loaded.state = checkpoint.state();
  loaded.hash = checkpoint.info().hash;
  model::load_weights(loaded.network->parameters(), model::without_prefix("backbone.", weights));
  return loaded;
}

LoadedNetworks load_networks(const std::string& checkpoint_dir, const std::string& role) {
  const auto checkpoint = load_trained(checkpoint_dir);
  LoadedNetworks loaded;
  loaded.options.backbone = backbone_from_json(checkpoint.state().at("backbone"));
  loaded.normalization = normalization_of_state(checkpoint.state());
  loaded.options.dino_head = head_from_json(field<nlohmann::json>(checkpoint.state(), "dino_head"));
  if (checkpoint.state().contains("ibot_head"))
    loaded.options.ibot_head = head_from_json(checkpoint.state().at("ibot_head"));
  loaded.weights = weights_of(checkpoint, role);
  loaded.hash = checkpoint.info().hash;
  return loaded;
}

}  // namespace paddock::jobs
