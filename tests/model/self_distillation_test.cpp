// A step of DINOv2 with some of its losses left out.
#include "model/self_distillation.h"

#include <ATen/Functions.h>
#include <gtest/gtest.h>

#include <limits>

#include "tests/model/tiny_step.h"

namespace paddock::model {
namespace {

class SelfDistillation : public testing::Test {
 protected:
  SelfDistillation() {
    student_.initialize(1);
    teacher_.initialize(2);
    TeacherTargets targets(Centering::kSinkhornKnopp, 24, 20);
    taught_ = teach(teacher_, targets, {batch_}, .07, Shards(one_, 1)).front();
  }

  StepLosses losses(double dino, double ibot, double koleo) const {
    return student_losses(student_, taught_, batch_,
                          {.local_crops = TinyPictures::kLocalCrops,
                           .dino_weight = dino,
                           .ibot_weight = ibot,
                           .koleo_weight = koleo});
  }
  static CropBatch seeded_batch() {
    at::manual_seed(31);
    return TinyPictures({4, 0, 3, 5, 1, 0}).batch(0, 3);
  }

  OneRank one_;
  HeadedBackbone student_{tiny_networks()};
  HeadedBackbone teacher_{tiny_networks()};
  const CropBatch batch_ = seeded_batch();
  Taught taught_;
};

TEST_F(SelfDistillation, LossesScaleExactlyWithTheirWeights) {
  const auto once = losses(1, 1, 1), twice = losses(2, .5, 4);
  EXPECT_TRUE(torch::equal(twice.dino_local, 2 * once.dino_local));
  EXPECT_TRUE(torch::equal(twice.dino_global, 2 * once.dino_global));
  EXPECT_TRUE(torch::equal(twice.ibot, .5 * once.ibot));
  EXPECT_TRUE(torch::equal(twice.koleo, 4 * once.koleo));
  EXPECT_NEAR(once.total.item<double>(),
              (once.dino_local + once.dino_global + 2 * once.ibot + 2 * once.koleo).item<double>(), 1e-5);
}

TEST_F(SelfDistillation, ALossOfWeightZeroIsNotComputedSoThatInfinityCannotReachTheTotal) {
  const double infinity = std::numeric_limits<double>::infinity();
  const Taught whole = taught_;
  taught_.cls_2BK = torch::full_like(whole.cls_2BK, infinity);
  EXPECT_FALSE(losses(1, 1, .1).total.isfinite().item<bool>());
  const auto without_dino = losses(0, 1, .1);
  EXPECT_TRUE(without_dino.total.isfinite().item<bool>());
  EXPECT_EQ(without_dino.dino_local.item<double>(), 0);
  EXPECT_EQ(without_dino.dino_global.item<double>(), 0);
  taught_ = whole;
  taught_.patches_MK = torch::full_like(whole.patches_MK, infinity);
  EXPECT_FALSE(losses(1, 1, .1).total.isfinite().item<bool>());
  const auto without_ibot = losses(1, 0, .1);
  EXPECT_TRUE(without_ibot.total.isfinite().item<bool>());
  EXPECT_EQ(without_ibot.ibot.item<double>(), 0);
}

}  // namespace
}  // namespace paddock::model
