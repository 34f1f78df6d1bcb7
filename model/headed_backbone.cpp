#include "model/headed_backbone.h"

namespace paddock::model {
namespace {

DinoHeadOptions with_width(DinoHeadOptions head, std::int64_t width) {
  head.in_dim = width;
  return head;
}

}  // namespace

HeadedBackbone::HeadedBackbone(HeadedBackboneOptions options, torch::Device device)
    : backbone(options.backbone, device),
      dino_head(with_width(options.dino_head, options.backbone.embed_dim), device) {
  if (options.ibot_head)
    ibot_head.emplace(with_width(*options.ibot_head, options.backbone.embed_dim), device);
}

NamedTensors HeadedBackbone::parameters() const {
  NamedTensors all = with_prefix("backbone.", backbone.parameters());
  for (auto& named : with_prefix("dino_head.", dino_head.parameters())) all.push_back(std::move(named));
  if (ibot_head) {
    for (auto& named : with_prefix("ibot_head.", ibot_head->parameters())) all.push_back(std::move(named));
  }
  return all;
}

void HeadedBackbone::initialize(std::uint64_t seed) {
  backbone.initialize(seed);
  dino_head.initialize(seed + 1);
  if (ibot_head) ibot_head->initialize(seed + 2);
}

void HeadedBackbone::set_compute_type(torch::ScalarType type) {
  backbone.set_compute_type(type);
  dino_head.set_compute_type(type);
  if (ibot_head) ibot_head->set_compute_type(type);
}

std::vector<torch::Tensor> HeadedBackbone::product_weights() const {
  auto all = backbone.product_weights();
  for (const DinoHead* head : {&dino_head, ibot_head ? &*ibot_head : nullptr}) {
    if (head == nullptr) continue;
    const auto weights = head->product_weights();
    all.insert(all.end(), weights.begin(), weights.end());
  }
  return all;
}

void HeadedBackbone::set_product_copies(const std::shared_ptr<const ProductCopies>& copies) {
  backbone.set_product_copies(copies);
  dino_head.set_product_copies(copies);
  if (ibot_head) ibot_head->set_product_copies(copies);
}

CropScores score_crops(const HeadedBackbone& networks, const ImageGroup& globals,
                       const torch::Tensor& locals_BCHW, const torch::Tensor& patches_M,
                       const KeptSamples& kept_samples) {
  std::vector<ImageGroup> groups{globals};
  if (locals_BCHW.defined()) groups.push_back({locals_BCHW, {}});
  const auto features = networks.backbone.forward_picked(groups, patches_M, kept_samples);
  std::vector<torch::Tensor> rows = features.cls_BD;
  const bool are_patches_with_cls = features.patches_MD.defined() && !networks.ibot_head;
  if (are_patches_with_cls) rows.push_back(features.patches_MD);
  std::vector<std::int64_t> sizes;
  for (const auto& part : rows) sizes.push_back(part.size(0));
  const auto scores = networks.dino_head.forward(torch::cat(rows, 0)).split_with_sizes(sizes);
  CropScores result;
  result.global_features = features.cls_BD[0];
  result.global_cls = scores[0];
  if (locals_BCHW.defined()) result.local_cls = scores[1];
  if (are_patches_with_cls)
    result.patches = scores.back();
  else if (features.patches_MD.defined())
    result.patches = networks.patch_head().forward(features.patches_MD);
  return result;
}

}  // namespace paddock::model
