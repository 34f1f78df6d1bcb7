// What several ranks compute together is what one rank computes on the joint batch.
#include <ATen/Functions.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "model/gradient_sum.h"
#include "model/koleo_loss.h"
#include "model/self_distillation.h"
#include "model/sinkhorn_knopp.h"
#include "model/softmax_centering.h"
#include "tests/model/ranks_in_memory.h"
#include "tests/model/tiny_step.h"

namespace paddock::model {
namespace {

double distance(const torch::Tensor& a, const torch::Tensor& b) {
  return (a.to(torch::kFloat64) - b.to(torch::kFloat64)).abs().max().item<double>();
}

class SeveralRanks : public testing::TestWithParam<int> {
 protected:
  SeveralRanks() { at::manual_seed(21); }

  // work(collective) gives a tensor on each rank; these, in the order of ranks.
  std::vector<torch::Tensor> on_ranks(const std::function<torch::Tensor(Collective&)>& work) const {
    std::vector<torch::Tensor> results(static_cast<std::size_t>(GetParam()));
    RanksInMemory(GetParam()).run([&](Collective& ranks) {
      results[static_cast<std::size_t>(ranks.rank())] = work(ranks);
    });
    return results;
  }
};

TEST_P(SeveralRanks, OperationsGiveWhatCollectivePromises) {
  const std::int64_t count = GetParam();
  RanksInMemory(count).run([&](Collective& ranks) {
    const double rank = static_cast<double>(ranks.rank()), last = static_cast<double>(count - 1);
    auto sum = torch::full({3}, rank + 1), max = torch::full({3}, -rank), shared = torch::full({2}, rank);
    ranks.all_reduce_sum(sum);
    ranks.all_reduce_max(max);
    ranks.broadcast(shared, count - 1);
    EXPECT_EQ(sum[2].item<double>(), static_cast<double>(count * (count + 1)) / 2);
    EXPECT_EQ(max[0].item<double>(), 0);
    EXPECT_EQ(shared[1].item<double>(), last);
    EXPECT_EQ(ranks.all_gather(torch::full({1}, rank))[count - 1].item<double>(), last);
    // Rank r gets r numbers from each, those that the sender has numbered r.
    std::vector<std::int64_t> sizes;
    std::vector<torch::Tensor> pieces;
    for (std::int64_t to = 0; to < count; ++to) {
      sizes.push_back(to);
      pieces.push_back(torch::full({to}, 10 * rank + static_cast<double>(to)));
    }
    const std::vector<std::int64_t> received(static_cast<std::size_t>(count), ranks.rank());
    const auto got = ranks.all_to_all(torch::cat(pieces), sizes, received);
    ASSERT_EQ(got.numel(), count * ranks.rank());
    if (ranks.rank() > 0) {
      EXPECT_EQ(got[-1].item<double>(), 10 * last + rank);
    }
    ranks.barrier();
  });
}

TEST_P(SeveralRanks, AreNotLeftWaitingForOneThatIsGone) {
  RanksInMemory ranks(GetParam());
  const auto lose_last = [&](Collective& own) {
    if (own.rank() == own.ranks() - 1) throw std::out_of_range("lost");
    own.barrier();
  };
  EXPECT_THROW(ranks.run(lose_last), std::out_of_range);
  ranks.run([](Collective& own) { own.barrier(); });  // and may be used again
}

TEST_P(SeveralRanks, BalanceUnevenRowsAsOneRankDoes) {
  OneRank one;
  const std::map<int, std::vector<std::vector<std::int64_t>>> divisions{
      {2, {{5, 2}, {7, 0}}}, {3, {{1, 4, 2}, {4, 0, 3}, {0, 0, 7}}}};
  const auto joint = torch::randn({7, 12});
  const auto wanted = sinkhorn_knopp(joint, .07, 3, one);
  EXPECT_LT(distance(wanted, sinkhorn_knopp_reference(joint, .07, 3)), 1e-5);
  for (const auto& rows : divisions.at(GetParam())) {
    const auto parts = joint.split_with_sizes(rows);
    const auto found = on_ranks([&](Collective& ranks) {
      return sinkhorn_knopp(parts[static_cast<std::size_t>(ranks.rank())], .07, 3, ranks);
    });
    EXPECT_LT(distance(torch::cat(found), wanted), 1e-6) << rows;
  }
}

TEST_P(SeveralRanks, MoveTheCenterAsOneRankDoes) {
  OneRank one;
  const std::int64_t count = GetParam();
  const auto joint = torch::randn({6, 10});
  const auto center_after = [](Collective& ranks, const std::vector<torch::Tensor>& updates) {
    SoftmaxCentering centering(10, .9);
    for (const auto& scores : updates) centering.update({scores}, Shards(ranks, ranks.ranks()));
    return centering.center();
  };
  const auto wanted = center_after(one, {joint, 2 * joint});
  const auto parts = joint.chunk(count);
  for (const auto& center : on_ranks([&](Collective& ranks) {
         const auto& part = parts[static_cast<std::size_t>(ranks.rank())];
         return center_after(ranks, {part, 2 * part});
       }))
    EXPECT_LT(distance(center, wanted), 1e-6);
  // Uneven rows, as masked patches are: the mean over ranks of their means, an empty rank's being 0, as in the reference.
  const auto first = joint.slice(0, 0, 4);
  for (const auto& center : on_ranks([&](Collective& ranks) {
         return center_after(ranks, {ranks.rank() == 0 ? first : joint.slice(0, 0, 0)});
       }))
    EXPECT_LT(distance(center, .1 * first.mean(0, true) / static_cast<double>(count)), 1e-6);
}

// Losses and gradients of a step of DINOv2 over the shards of a batch.
struct Step {
  torch::Tensor total;     // mean over shards
  torch::Tensor gradient;  // mean over shards, of all parameters
};

class SeveralRanksInAStep : public SeveralRanks {
 protected:
  // Each rank has one of `shards` equal parts of the pictures; one rank has all parts, one after the other.
  static Step step(const TinyPictures& pictures, Collective& ranks, std::int64_t count, Centering centering,
                   const LossOptions& options) {
    const Shards shards(ranks, count);
    HeadedBackbone student(tiny_networks()), teacher(tiny_networks());
    student.initialize(3);
    teacher.initialize(4);
    FlatParameters parameters(student.parameters(), true);
    GradientSum gradients(parameters, shards);
    TeacherTargets targets(centering, 24, 20);
    std::vector<CropBatch> batches;
    const std::int64_t each = pictures.size() / count;
    for (std::int64_t shard = shards.own().begin; shard < shards.own().end; ++shard)
      batches.push_back(pictures.batch(shard * each, (shard + 1) * each));
    teach(teacher, targets, batches, .07, shards);  // so that the centers are not zero any more
    const auto taught = teach(teacher, targets, batches, .07, shards);
    std::vector<torch::Tensor> totals;
    for (std::size_t i = 0; i < batches.size(); ++i) {
      const auto losses = student_losses(student, taught[i], batches[i], options);
      if (losses.total.requires_grad()) losses.total.backward();
      gradients.add_shard();
      totals.push_back(losses.total.detach().view({1}));
    }
    const double scale = 1 / static_cast<double>(count);
    auto whole = torch::zeros_like(parameters.values());
    const Range slice = gradients.slice();
    whole.narrow(0, slice.begin, slice.size()).copy_(gradients.reduce());
    share_slices(whole, ranks);
    return {shards.sum(totals) * scale, whole * scale};
  }

  // Rank 0's, after a look whether all ranks have the same bits.
  Step step_of_ranks(const TinyPictures& pictures, Centering centering, const LossOptions& options) const {
    std::vector<Step> steps(static_cast<std::size_t>(GetParam()));
    RanksInMemory(GetParam()).run([&](Collective& ranks) {
      steps[static_cast<std::size_t>(ranks.rank())] = step(pictures, ranks, GetParam(), centering, options);
    });
    for (const Step& one : steps) {
      EXPECT_TRUE(torch::equal(one.total, steps.front().total));
      EXPECT_TRUE(torch::equal(one.gradient, steps.front().gradient));
    }
    return steps.front();
  }

  static LossOptions weights(double dino, double ibot, double koleo) {
    return {.local_crops = TinyPictures::kLocalCrops,
            .dino_weight = dino,
            .ibot_weight = ibot,
            .koleo_weight = koleo};
  }

  static void expect_near(const Step& found, const Step& wanted) {
    EXPECT_GT(wanted.gradient.abs().max().item<double>(), 1e-4) << "nothing to compare";
    EXPECT_LT(distance(found.total, wanted.total), 1e-5 * (1 + wanted.total.abs().item<double>()));
    EXPECT_LT(distance(found.gradient, wanted.gradient),
              1e-6 + 1e-4 * wanted.gradient.abs().max().item<double>());
  }

  // An uneven number of hidden patches on each rank, none at all on the last.
  const TinyPictures pictures_{{3, 8, 1, 5, 0, 0, 7, 2, 0, 4, 0, 0}};
  OneRank one_;
};

TEST_P(SeveralRanksInAStep, GiveTheDinoLossOfTheJointBatch) {
  for (const Centering centering : {Centering::kSinkhornKnopp, Centering::kSoftmax})
    expect_near(step_of_ranks(pictures_, centering, weights(1, 0, 0)),
                step(pictures_, one_, 1, centering, weights(1, 0, 0)));
}

// Softmax centering has the mean over ranks of the patches' means, by which uneven ranks differ from a joint batch, as in
// the reference: only Sinkhorn–Knopp is the same here.
TEST_P(SeveralRanksInAStep, GiveTheIbotLossOfTheJointBatch) {
  expect_near(step_of_ranks(pictures_, Centering::kSinkhornKnopp, weights(0, 1, 0)),
              step(pictures_, one_, 1, Centering::kSinkhornKnopp, weights(0, 1, 0)));
}

// As in the reference each rank spreads its own class tokens; those of other ranks are no neighbours.
TEST_P(SeveralRanksInAStep, SpreadTheirOwnPicturesByKoleo) {
  const auto found = step_of_ranks(pictures_, Centering::kSinkhornKnopp, weights(0, 0, 1));
  HeadedBackbone student(tiny_networks());
  student.initialize(3);
  const torch::NoGradGuard no_grad;
  const auto koleo_of = [&](std::int64_t begin, std::int64_t end) {
    const auto batch = pictures_.batch(begin, end);
    const auto crops = student.backbone.forward({{batch.globals, batch.masks_2BN}}).front().cls_BD.chunk(2);
    return (koleo_loss(crops[0]) + koleo_loss(crops[1])).item<double>();
  };
  const std::int64_t each = pictures_.size() / GetParam();
  double mean = 0;
  for (std::int64_t begin = 0; begin < pictures_.size(); begin += each)
    mean += koleo_of(begin, begin + each) / GetParam();
  EXPECT_NEAR(found.total.item<double>(), mean, 1e-5);
  EXPECT_GT(std::abs(koleo_of(0, pictures_.size()) - mean), 1e-2);
}

TEST_P(SeveralRanksInAStep, AverageTheGradientsOfAllLossesTogether) {
  const auto found = step_of_ranks(pictures_, Centering::kSinkhornKnopp, weights(1, 1, .1));
  auto wanted = step(pictures_, one_, 1, Centering::kSinkhornKnopp, weights(1, 1, 0));
  const auto koleo = step(pictures_, one_, GetParam(), Centering::kSinkhornKnopp, weights(0, 0, .1));
  wanted.total += koleo.total;
  wanted.gradient += koleo.gradient;
  expect_near(found, wanted);
}

TEST_P(SeveralRanksInAStep, GiveTheBitsOfOneRankThatHasAllShards) {
  for (const Centering centering : {Centering::kSinkhornKnopp, Centering::kSoftmax}) {
    const auto found = step_of_ranks(pictures_, centering, weights(1, 1, .1));
    const auto wanted = step(pictures_, one_, GetParam(), centering, weights(1, 1, .1));
    EXPECT_TRUE(torch::equal(found.total, wanted.total));
    EXPECT_TRUE(torch::equal(found.gradient, wanted.gradient));
  }
}

INSTANTIATE_TEST_SUITE_P(Ranks, SeveralRanks, testing::Values(2, 3));
INSTANTIATE_TEST_SUITE_P(Ranks, SeveralRanksInAStep, testing::Values(2, 3));

}  // namespace
}  // namespace paddock::model
