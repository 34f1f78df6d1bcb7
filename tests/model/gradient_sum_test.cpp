// Gradients leave for the other ranks while the backward pass goes on, and their sum is that of one rank to the bit.
#include "model/gradient_sum.h"

#include <ATen/Functions.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "tests/model/passing_ranks.h"
#include "tests/model/ranks_in_memory.h"

namespace paddock::model {
namespace {

// Does what it is asked to begin when it is waited for, as late as a network may be, and counts.
class LateRanks final : public PassingRanks {
 public:
  using PassingRanks::PassingRanks;

  std::int64_t begun() const { return begun_; }

  std::unique_ptr<Pending> begin_all_to_all(torch::Tensor& received,
                                            const std::vector<std::int64_t>& received_sizes,
                                            const torch::Tensor& sent,
                                            const std::vector<std::int64_t>& sent_sizes) override {
    ++begun_;
    received.fill_(std::numeric_limits<float>::quiet_NaN());  // nobody's until it is waited for
    return std::make_unique<Late>([this, received, received_sizes, sent, sent_sizes]() mutable {
      received.copy_(all_to_all(sent, sent_sizes, received_sizes));
    });
  }

 private:
  std::int64_t begun_ = 0;
};

// Two networks; the head's gradients are there before the backbone's, and the token is not always used.
class TwoNetworks {
 public:
  TwoNetworks() {
    const auto waves = [](std::int64_t rows, std::int64_t columns) {
      return torch::sin(torch::arange(static_cast<double>(rows * columns)) * .7).view({rows, columns}) * .1;
    };
    named_ = {{"backbone.token", waves(1, 300).view({300})},
              {"backbone.mlp.weight", waves(400, 300)},
              {"dino_head.mlp.weight", waves(500, 400)}};
  }

  const NamedTensors& parameters() const { return named_; }

  torch::Tensor loss(std::int64_t shard, bool has_token) const {
    const auto pictures =
        torch::sin(torch::arange(600.).view({2, 300}) * (.1 * static_cast<double>(shard + 1)));
    const auto x = has_token ? pictures + named_[0].second : pictures;
    return torch::tanh(torch::relu(x.mm(named_[1].second.t())).mm(named_[2].second.t())).square().mean();
  }

 private:
  NamedTensors named_;
};

constexpr std::int64_t kShards = 5;

// Shards whose number is even have a token, in two steps over all shards.
torch::Tensor sum_on(Collective& ranks, std::int64_t bucket_elements) {
  TwoNetworks networks;
  FlatParameters parameters(networks.parameters(), true);
  const Shards shards(ranks, kShards);
  GradientSum sum(parameters, shards, bucket_elements);
  auto whole = torch::zeros_like(parameters.values());
  for (int step = 0; step < 2; ++step) {
    for (std::int64_t shard = shards.own().begin; shard < shards.own().end; ++shard) {
      networks.loss(shard + kShards * step, shard % 2 == 0).backward();
      sum.add_shard();
    }
    whole.narrow(0, sum.slice().begin, sum.slice().size()).copy_(sum.reduce());
  }
  share_slices(whole, ranks);
  return whole;
}

TEST(GradientSum, HasTheBitsOfOneRankWhateverTheBuckets) {
  OneRank alone;
  const auto wanted = sum_on(alone, kBucketElements);
  EXPECT_GT(wanted.abs().max().item<double>(), 1e-4);
  for (const std::int64_t count : {2, 3, 5}) {
    for (const std::int64_t bucket : {kParameterBlock, 2 * kParameterBlock, kBucketElements}) {
      RanksInMemory(count).run([&](Collective& in_time) {
        LateRanks late(in_time);
        EXPECT_TRUE(torch::equal(sum_on(in_time, bucket), wanted)) << count << " ranks, " << bucket;
        EXPECT_TRUE(torch::equal(sum_on(late, bucket), wanted)) << count << " ranks, " << bucket;
      });
    }
  }
}

TEST(GradientSum, SendsWhatTheBackwardPassHasLeftBehind) {
  RanksInMemory(2).run([](Collective& in_memory) {
    LateRanks ranks(in_memory);
    TwoNetworks networks;
    FlatParameters parameters(networks.parameters(), true);
    const Shards shards(ranks, 4);
    GradientSum sum(parameters, shards, kParameterBlock);  // 2 buckets of the backbone, 4 of the head
    ASSERT_EQ(parameters.elements(), 6 * kParameterBlock);
    const std::int64_t shard = shards.own().begin;
    networks.loss(shard, true).backward();
    EXPECT_EQ(ranks.begun(), 0) << "the rank's sum lacks a shard";
    sum.add_shard();
    EXPECT_EQ(ranks.begun(), 0);
    const auto loss = networks.loss(shard + 1, false);
    networks.parameters()[1].second.register_hook([&ranks](const torch::Tensor&) {
      EXPECT_EQ(ranks.begun(), 4) << "the backbone's gradient is on its way, the head's is there";
    });
    loss.backward();
    // The token got no gradient: its bucket waits for the end of the pass, that of the backbone's other part does not.
    EXPECT_EQ(ranks.begun(), 5);
    sum.add_shard();
    EXPECT_EQ(ranks.begun(), 6);
    sum.reduce();
  });
}

TEST(GradientSum, RefusesASecondPassWhoseFirstHasLeft) {
  RanksInMemory(2).run([](Collective& ranks) {
    TwoNetworks networks;
    FlatParameters parameters(networks.parameters(), true);
    const Shards shards(ranks, 2);
    GradientSum sum(parameters, shards, kParameterBlock);
    networks.loss(0, true).backward();
    EXPECT_THROW(networks.loss(1, true).backward(), std::logic_error);
  });
}

TEST(GradientSum, LeavesTheParametersAloneAfterwards) {
  TwoNetworks networks;
  FlatParameters parameters(networks.parameters(), true);
  RanksInMemory(2).run([&](Collective& ranks) {
    if (ranks.rank() == 0) GradientSum(parameters, Shards(ranks, 2), kParameterBlock);
  });
  for (int pass = 0; pass < 2; ++pass) networks.loss(0, true).backward();
  EXPECT_GT(parameters.gradients().abs().max().item<double>(), 0);
}

}  // namespace
}  // namespace paddock::model
