// jobs/model/load_weights.h – a backbone out of whatever file holds one.
// Four sources: a Paddock checkpoint (a folder with manifest.json), a Hugging Face folder (config.json beside
// model.safetensors or pytorch_model.bin, or OpenCLIP's open_clip_config.json beside its files), a .safetensors file, a
// PyTorch file (.pth, .pth.tar, .pt, .bin, .ckpt); a file that has such a name beside such a config is read with it. All but
// the first are told apart by the names of their tensors (model/weight_names.h). Threads: a pure function of the files.
// Throws std::invalid_argument when there is no such file or it holds no backbone, std::runtime_error when it is damaged;
// messages name the path.
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "data/normalization.h"
#include "model/vision_transformer.h"

namespace paddock::jobs {

struct WeightsSource {
  std::filesystem::path path;
  // "teacher" or "student": which of the two a training run's file means. Empty: teacher where both are there. Of I-JEPA's
  // these are the target encoder and the encoder.
  std::string role;
  std::optional<std::int64_t> heads;  // for files whose shapes cannot tell; empty: embed_dim / 64
  std::optional<model::Grid> grid;    // of the table of positions, for files that do not say; empty: a square
  std::optional<data::Normalization> normalization;  // for files that do not say
  std::string activation;  // "gelu" or "quick_gelu", whatever the file says; empty: as it says
};

struct LoadedModel {
  std::unique_ptr<model::VisionTransformer> network;  // on the CPU, float32, no gradients
  // As the file or else the source says; of three channels without either CLIP's or ImageNet's; empty: nobody knows.
  std::optional<data::Normalization> normalization;
  std::string format;                  // "paddock checkpoint", "hugging face folder", …
  std::string family;                  // "dinov2", "timm-dinov2", …; "paddock" for a checkpoint
  std::vector<std::string> dtypes;     // of the backbone's tensors in the file, "F32" …, sorted
  std::int64_t bytes = 0;              // of the backbone's tensors in the file
  std::vector<std::string> left_out;   // what else the file holds, by name, sorted
  nlohmann::json checkpoint;           // {"role", "hash", "step"} of a checkpoint, else null
  bool is_activation_assumed = false;  // nobody says it: CLIP without a config
};

LoadedModel load_model(const WeightsSource& source);

}  // namespace paddock::jobs
