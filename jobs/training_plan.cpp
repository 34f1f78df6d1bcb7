#include "jobs/training_plan.h"

namespace paddock::jobs {

std::map<std::string, model::HeadedBackboneOptions> students_of(const TrainingPlan& plan) {
  if (!plan.students.empty()) return plan.students;
  return {{"", plan.student}};
}

model::VisionTransformerOptions backbone_options(const spec::BackboneSpec& given, std::int64_t image_size) {
  const spec::BackboneSpec backbone = spec::resolved(given);
  model::VisionTransformerOptions options;
  options.image_height = options.image_width = image_size;
  options.patch_size = backbone.patch_size;
  options.embed_dim = backbone.embed_dim;
  options.depth = backbone.depth;
  options.heads = backbone.heads;
  options.registers = backbone.registers;
  options.channels = backbone.channels;
  options.ffn = backbone.ffn;
  options.layerscale = backbone.layerscale;
  options.drop_path = backbone.drop_path;
  // As the released models: with registers the table of positions is resized exactly and smoothly.
  options.interpolate_antialias = backbone.registers > 0;
  options.interpolate_offset = backbone.registers > 0 ? 0 : .1;
  return options;
}

data::Normalization normalization_of(const spec::BackboneSpec& backbone) {
  if (backbone.pixel_mean.empty()) return data::usual_normalization(static_cast<int>(backbone.channels));
  return {backbone.pixel_mean, backbone.pixel_std};
}

model::DinoHeadOptions head_options(const spec::HeadSpec& head) {
  model::DinoHeadOptions options;
  options.prototypes = head.prototypes;
  options.hidden = head.hidden;
  options.bottleneck = head.bottleneck;
  options.layers = head.layers;
  return options;
}

}  // namespace paddock::jobs
