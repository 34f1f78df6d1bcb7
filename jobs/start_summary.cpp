#include "jobs/start_summary.h"

#include "jobs/spec/training_summary.h"

namespace paddock::jobs {
namespace {

spec::HeadSpec head_size(const model::DinoHeadOptions& head) {
  return {head.prototypes, head.hidden, head.bottleneck, head.layers};
}

spec::NetworkSize network_size(const model::HeadedBackboneOptions& networks) {
  const model::VisionTransformerOptions& given = networks.backbone;
  spec::NetworkSize size;
  size.backbone.arch = "custom";
  size.backbone.embed_dim = given.embed_dim;
  size.backbone.depth = given.depth;
  size.backbone.heads = given.heads;
  size.backbone.patch_size = given.patch_size;
  size.backbone.registers = given.registers;
  size.backbone.channels = given.channels;
  size.backbone.ffn = given.ffn;
  size.backbone.layerscale = given.layerscale;
  size.backbone.drop_path = given.drop_path;
  size.image_size = given.image_height;
  size.dino_head = head_size(networks.dino_head);
  if (networks.ibot_head) size.ibot_head = head_size(*networks.ibot_head);
  return size;
}

}  // namespace

std::string start_summary(const TrainingPlan& plan, std::int64_t dataset_pictures, std::int64_t ranks,
                          torch::ScalarType compute, torch::Device device) {
  spec::TrainingFacts facts;
  facts.ranks = ranks;
  facts.dataset_pictures = dataset_pictures;
  facts.is_bf16 = compute == torch::kBFloat16;
  facts.is_on_gpu = device.is_cuda();
  if (plan.students.empty()) facts.student = network_size(plan.student);
  if (plan.frozen_teacher) facts.frozen_teacher = network_size(*plan.frozen_teacher);
  const auto summary = spec::summarize_training(plan.kind, plan.options, facts);
  return summary ? spec::to_text(*summary) : std::string();
}

}  // namespace paddock::jobs
