// jobs/neighbour_accuracy.h – how well the averaged model tells classes apart while it is being trained: k-NN with 20
// neighbours on class tokens, a small bank of pictures to learn from and a few that are held out, as `evaluate` does it.
// For pictures that say what they show (storage/sample_set.h); it changes nothing of the training.
// Threads: one owner.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "data/normalization.h"
#include "data/sample_source.h"
#include "jobs/training.h"

namespace paddock::jobs {

class NeighbourAccuracy {
 public:
  // Draws the same pictures for every run on the same sets: at most 2,000 of `train` and 1,000 of `test`; pictures without a
  // label, or that do not decode, are left out. `plan` must outlive this.
  // `heartbeat` is called while it works.
  NeighbourAccuracy(const TrainingPlan& plan, data::SampleSetPtr train, data::SampleSetPtr test,
                    torch::Device device, std::function<void()> heartbeat);

  // Whether there are two classes at least, and a picture to judge.
  bool is_possible() const;

  struct Measured {
    double accuracy = 0;  // share of the judged pictures, 0 to 1
    std::int64_t bank = 0, judged = 0;
  };
  // Collective: each rank looks at a share of the pictures; all get the same bits, whatever their number.
  Measured measure(const model::VisionTransformer& backbone, model::Collective& ranks) const;

 private:
  struct Part {
    data::SampleSetPtr set;
    std::vector<std::int32_t> labels;  // an index into the classes; -1: none
  };
  Part part_of(data::SampleSetPtr set, std::uint64_t count);
  // [N, D + 1] of all ranks together: features, and whether the picture could be read.
  torch::Tensor features_of(const Part& part, const model::VisionTransformer& backbone,
                            model::Collective& ranks) const;

  const TrainingPlan& plan_;
  const torch::Device device_;
  const std::function<void()> heartbeat_;
  std::vector<std::string> classes_;
  Part bank_, judged_;
};

}  // namespace paddock::jobs
