// model/teacher_targets.h – the teacher's scores as targets: balanced by Sinkhorn–Knopp, or softmax with a running center.
// Class tokens and patches are balanced separately, each over all shards of the global batch together. Threads: one owner.
#pragma once

#include <torch/types.h>

#include <vector>

#include "model/shards.h"
#include "model/softmax_centering.h"
#include "model/weights.h"

namespace paddock::model {

enum class Centering { kSinkhornKnopp, kSoftmax };

class TeacherTargets {
 public:
  // The numbers of prototypes are needed by the softmax form alone.
  TeacherTargets(Centering centering, std::int64_t cls_prototypes, std::int64_t patch_prototypes,
                 torch::Device device = torch::kCPU);

  // float32 targets for each own shard's scores; collective. `is_update` false: centers stay (evaluation).
  std::vector<torch::Tensor> of_cls(const std::vector<torch::Tensor>& scores, double temperature,
                                    const Shards& shards, bool is_update = true);
  std::vector<torch::Tensor> of_patches(const std::vector<torch::Tensor>& scores, double temperature,
                                        const Shards& shards, bool is_update = true);

  // State: "cls", "patches" with the softmax form, nothing else.
  NamedTensors state();

 private:
  std::vector<torch::Tensor> targets(SoftmaxCentering& center, const std::vector<torch::Tensor>& scores,
                                     double temperature, const Shards& shards, bool is_update);

  const Centering centering_;
  SoftmaxCentering cls_, patches_;
};

}  // namespace paddock::model
