// `paddock-run model forward`: ready tensors in, the backbone's tokens out. For comparing with another implementation.
// Letters: B images, C channels, H W pixels, D width, R registers, N patches of an image.
#include <torch/types.h>

#include <algorithm>
#include <stdexcept>

#include "jobs/model/commands.h"
#include "jobs/model/output_files.h"
#include "jobs/tensors.h"
#include "jobs/value_or_throw.h"

namespace paddock::jobs {
namespace {

torch::Tensor read_images(const std::string& path) {
  storage::RealDisk disk;
  const auto file = value_or_throw(storage::read_safetensors(disk, path), "reading images");
  const storage::TensorBytes* found = file.find("images");
  if (found == nullptr) throw std::invalid_argument(path + ": has no tensor named images");
  torch::Tensor images_BCHW = tensor_of_bytes(*found);
  if (images_BCHW.scalar_type() != torch::kFloat32 || images_BCHW.dim() != 4 || images_BCHW.numel() == 0)
    throw std::invalid_argument(path + ": images must be float32 [B, C, H, W] with something in it, not " +
                                found->dtype + " of " + std::to_string(images_BCHW.dim()) + " dimensions");
  return images_BCHW;
}

// Batch by batch, so that memory does not grow with B.
model::NamedTensors tokens_of(const model::VisionTransformer& network, const torch::Tensor& images_BCHW,
                              std::int64_t batch) {
  std::vector<torch::Tensor> cls_BD, registers_BRD, patches_BND;
  for (const torch::Tensor& images : images_BCHW.split(batch)) {
    const model::Features features = network.forward_features(images);
    cls_BD.push_back(features.cls_BD);
    registers_BRD.push_back(features.registers_BRD);
    patches_BND.push_back(features.patches_BND);
  }
  return {{"cls", torch::cat(cls_BD).contiguous()},
          {"registers", torch::cat(registers_BRD).contiguous()},
          {"patches", torch::cat(patches_BND).contiguous()}};
}

void run(const Arguments& arguments, std::ostream& out, std::ostream& err) {
  const torch::InferenceMode inference;
  const std::filesystem::path path = arguments.text("--out");
  refuse_existing(path, arguments.has("--force"));
  const std::int64_t batch = *arguments.count("--batch");
  const LoadedModel loaded = load_given_model(arguments, err);
  loaded.network->set_side_policy(model::side_policy_of(arguments.text("--sides")));
  const torch::Tensor images_BCHW = read_images(arguments.text("--images"));
  const model::NamedTensors tokens = tokens_of(*loaded.network, images_BCHW, batch);
  write_tensor_file(path, tokens, {});
  out << path.string() << ":";
  for (const auto& [name, tensor] : tokens) out << ' ' << name << ' ' << tensor.sizes();
  out << '\n';
}

}  // namespace

ModelCommand forward_command() {
  return {"forward", "ready tensors in, the backbone's tokens out",
          with_weights_options(
              {{.name = "--images",
                .value = "FILE",
                .about = "a .safetensors with images, float32 [B, C, H, W], already normalised",
                .is_required = true},
               {.name = "--out",
                .value = "FILE",
                .about = "a .safetensors with cls [B, D], registers [B, R, D], patches "
                         "[B, N, D], all after the final norm",
                .is_required = true},
               sides_option(),
               {.name = "--batch", .value = "N", .about = "images a forward pass", .initial = "16"},
               force_option()}),
          run};
}

}  // namespace paddock::jobs
