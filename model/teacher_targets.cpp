#include "model/teacher_targets.h"

#include "model/sinkhorn_knopp.h"

namespace paddock::model {
namespace {
constexpr int kSinkhornIterations = 3;
}

TeacherTargets::TeacherTargets(Centering centering, std::int64_t cls_prototypes,
                               std::int64_t patch_prototypes, torch::Device device)
    : centering_(centering), cls_(cls_prototypes, .9, device), patches_(patch_prototypes, .9, device) {}

std::vector<torch::Tensor> TeacherTargets::targets(SoftmaxCentering& center,
                                                   const std::vector<torch::Tensor>& scores,
                                                   double temperature, const Shards& shards, bool is_update) {
  if (centering_ == Centering::kSinkhornKnopp)
    return sinkhorn_knopp(scores, temperature, kSinkhornIterations, shards);
  std::vector<torch::Tensor> probabilities;
  for (const auto& shard : scores) probabilities.push_back(center.targets(shard, temperature));
  if (is_update) center.update(scores, shards);
  return probabilities;
}

std::vector<torch::Tensor> TeacherTargets::of_cls(const std::vector<torch::Tensor>& scores,
                                                  double temperature, const Shards& shards, bool is_update) {
  return targets(cls_, scores, temperature, shards, is_update);
}

std::vector<torch::Tensor> TeacherTargets::of_patches(const std::vector<torch::Tensor>& scores,
                                                      double temperature, const Shards& shards,
                                                      bool is_update) {
  return targets(patches_, scores, temperature, shards, is_update);
}

NamedTensors TeacherTargets::state() {
  if (centering_ == Centering::kSinkhornKnopp) return {};
  return {{"cls", cls_.center()}, {"patches", patches_.center()}};
}

}  // namespace paddock::model
