#include "model/teacher_targets.h"

#include "model/sinkhorn_knopp.h"

namespace paddock::model {
namespace {
constexpr int kSinkhornIterations = 3;
}

TeacherTargets::TeacherTargets(Centering centering, std::int64_t cls_prototypes,
                               std::int64_t patch_prototypes, torch::Device device)
    : centering_(centering), cls_(cls_prototypes, .9, device), patches_(patch_prototypes, .9, device) {}

torch::Tensor TeacherTargets::targets(SoftmaxCentering& center, const torch::Tensor& scores,
                                      double temperature, Collective& ranks, bool is_update) {
  if (centering_ == Centering::kSinkhornKnopp)
    return sinkhorn_knopp(scores, temperature, kSinkhornIterations, ranks);
  return is_update ? center.targets(scores, temperature, ranks)
                   : center.targets_without_update(scores, temperature);
}

torch::Tensor TeacherTargets::of_cls(const torch::Tensor& scores, double temperature, Collective& ranks,
                                     bool is_update) {
  return targets(cls_, scores, temperature, ranks, is_update);
}

torch::Tensor TeacherTargets::of_patches(const torch::Tensor& scores, double temperature, Collective& ranks,
                                         bool is_update) {
  return targets(patches_, scores, temperature, ranks, is_update);
}

NamedTensors TeacherTargets::state() {
  if (centering_ == Centering::kSinkhornKnopp) return {};
  return {{"cls", cls_.center()}, {"patches", patches_.center()}};
}

}  // namespace paddock::model
