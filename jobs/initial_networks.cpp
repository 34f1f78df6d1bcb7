#include "jobs/initial_networks.h"

#include <filesystem>
#include <stdexcept>
#include <utility>

#include "jobs/model/load_weights.h"
#include "jobs/model_checkpoint.h"
#include "jobs/tensors.h"
#include "storage/hash.h"

namespace paddock::jobs {
namespace {

// Of names and bytes, in the order of names.
std::string hash_of(const model::TensorMap& weights) {
  storage::Hasher hasher;
  for (const auto& [name, tensor] : weights) {
    hasher.update(name);
    hasher.update(bytes_of_tensor(name, tensor.contiguous()).bytes);
  }
  return hasher.hex();
}

// The table of positions for image_size × image_size, by the network's own way of resizing it.
void resize_positions(const model::VisionTransformer& network, std::int64_t image_size,
                      InitialNetworks& initial) {
  const torch::NoGradGuard no_grad;
  const std::int64_t side = image_size / initial.backbone.patch_size;
  initial.weights["backbone.pos_embed"] = network.positions(side, side).detach().clone();
  initial.backbone.image_height = initial.backbone.image_width = image_size;
}

}  // namespace

InitialNetworks load_initial_networks(const std::string& path, std::int64_t image_size) {
  InitialNetworks initial;
  std::unique_ptr<model::VisionTransformer> network;
  if (std::filesystem::exists(std::filesystem::path(path) / "manifest.json")) {
    LoadedNetworks loaded = load_networks(path);
    initial.backbone = loaded.options.backbone;
    initial.dino_head = loaded.options.dino_head;
    initial.ibot_head = loaded.options.ibot_head;
    initial.normalization = loaded.normalization;
    initial.hash = loaded.hash;
    initial.weights = std::move(loaded.weights);
    network = std::make_unique<model::VisionTransformer>(initial.backbone);
    model::load_weights(network->parameters(), model::without_prefix("backbone.", initial.weights));
  } else {
    WeightsSource source;
    source.path = path;
    LoadedModel loaded = load_model(source);
    network = std::move(loaded.network);
    initial.backbone = network->options();
    initial.normalization = loaded.normalization;
    for (const auto& [name, tensor] : network->parameters()) initial.weights["backbone." + name] = tensor;
    initial.hash = hash_of(initial.weights);
  }
  if (image_size % initial.backbone.patch_size != 0)
    throw std::invalid_argument("crops.global_size is " + std::to_string(image_size) +
                                ", must be a multiple of " + std::to_string(initial.backbone.patch_size) +
                                ", the patch size of " + path);
  if (!data::is_channel_count(initial.backbone.channels))
    throw std::invalid_argument(path + " takes " + std::to_string(initial.backbone.channels) +
                                " channels, and pictures are made of 1, 3 or 4");
  if (!initial.backbone.class_token)
    throw std::invalid_argument(path + " has no class token, which training needs");
  resize_positions(*network, image_size, initial);
  return initial;
}

}  // namespace paddock::jobs
