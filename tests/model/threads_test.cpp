// The bits of a step do not depend on the number of threads, as far as they depend on this code: of very small matrices the
// library under LibTorch divides the sums between threads, so a run's promise is for one number of threads a rank.
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "model/flat_parameters.h"
#include "tiny_step.h"

namespace paddock::model {
namespace {

// Sizes at which LibTorch shares work out between threads.
HeadedBackboneOptions some_networks(std::int64_t registers) {
  HeadedBackboneOptions options = tiny_networks();
  options.backbone.drop_path = .5;
  options.backbone.embed_dim = 96;
  options.backbone.heads = 3;
  options.backbone.registers = registers;
  options.dino_head = {.prototypes = 700, .hidden = 160, .bottleneck = 48, .layers = 3};
  options.ibot_head.reset();
  return options;
}

std::vector<std::int64_t> every_second(std::int64_t, int, std::int64_t, std::int64_t batch,
                                       std::int64_t kept) {
  std::vector<std::int64_t> samples;
  for (std::int64_t i = 0; i < kept; ++i) samples.push_back((2 * i + (2 * i >= batch ? 1 : 0)) % batch);
  std::sort(samples.begin(), samples.end());
  return samples;
}

// `depth`: stochastic.
NamedTensors gradients_with(int threads, std::int64_t registers, bool depth) {
  at::set_num_threads(threads);
  at::manual_seed(4);
  HeadedBackbone student(some_networks(registers)), teacher(some_networks(registers));
  student.initialize(1);
  teacher.initialize(2);
  FlatParameters parameters(student.parameters(), true);
  OneRank ranks;
  const Shards shards(ranks, 1);
  TeacherTargets targets(Centering::kSinkhornKnopp, 0, 0);
  const TinyPictures pictures({5, 0, 7, 3, 4, 0, 8, 2, 5, 0, 7, 3, 4, 0, 8, 2, 5, 0, 7, 3, 4, 0, 8, 2});
  const CropBatch batch = pictures.batch(0, pictures.size());
  LossOptions options;
  options.local_crops = TinyPictures::kLocalCrops;
  const auto taught = teach(teacher, targets, {batch}, .05, shards);
  student_losses(student, taught[0], batch, options, depth ? KeptSamples(every_second) : KeptSamples())
      .total.backward();
  NamedTensors gradients = parameters.views("", parameters.gradients());
  gradients.emplace_back("targets", taught[0].patches_MK);
  return gradients;
}

TEST(Threads, ChangeNoBitOfAStepsGradients) {
  const int before = at::get_num_threads();
  for (const auto& [registers, depth] : {std::pair{0, false}, {2, false}, {0, true}}) {
    const auto wanted = gradients_with(1, registers, depth);
    for (const int threads : {2, 3, 4}) {
      const auto given = gradients_with(threads, registers, depth);
      for (std::size_t i = 0; i < wanted.size(); ++i)
        EXPECT_TRUE(torch::equal(given[i].second, wanted[i].second))
            << wanted[i].first << " with " << threads << " threads" << (depth ? ", stochastic depth" : "");
    }
  }
  at::set_num_threads(before);
}

}  // namespace
}  // namespace paddock::model
