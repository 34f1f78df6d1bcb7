// model/teacher_targets.h – the teacher's scores as targets: balanced by Sinkhorn–Knopp, or softmax with a running center.
// Class tokens and patches are balanced separately. Threads: one owner.
#pragma once

#include <torch/types.h>

#include "model/collective.h"
#include "model/softmax_centering.h"
#include "model/weights.h"

namespace paddock::model {

enum class Centering { kSinkhornKnopp, kSoftmax };

class TeacherTargets {
 public:
  // The numbers of prototypes are needed by the softmax form alone.
  TeacherTargets(Centering centering, std::int64_t cls_prototypes, std::int64_t patch_prototypes,
                 torch::Device device = torch::kCPU);

  // float32 targets; collective. `is_update` false: centers stay (evaluation).
  torch::Tensor of_cls(const torch::Tensor& scores, double temperature, Collective& ranks,
                       bool is_update = true);
  torch::Tensor of_patches(const torch::Tensor& scores, double temperature, Collective& ranks,
                           bool is_update = true);

  // State: "cls", "patches" with the softmax form, nothing else.
  NamedTensors state();

 private:
  torch::Tensor targets(SoftmaxCentering& center, const torch::Tensor& scores, double temperature,
                        Collective& ranks, bool is_update);

  const Centering centering_;
  SoftmaxCentering cls_, patches_;
};

}  // namespace paddock::model
