// Sums over virtual shards have the same bits whoever adds them, and the update of slices is that of the whole.
#include "model/shards.h"

#include <ATen/CPUGeneratorImpl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "model/adamw.h"
#include "model/gradient_sum.h"
#include "model/health.h"
#include "ranks_in_memory.h"

namespace paddock::model {
namespace {

// With a generator of its own: ranks are threads here, and the global one is shared.
torch::Tensor drawn(at::IntArrayRef sizes, std::uint64_t seed) {
  return torch::empty(sizes).normal_(0, 1, at::make_generator<at::CPUGeneratorImpl>(seed));
}

// Values of very different size, so that another order of adding gives other bits.
std::vector<torch::Tensor> leaves(std::int64_t count, std::int64_t size) {
  std::vector<torch::Tensor> all;
  for (std::int64_t i = 0; i < count; ++i)
    all.push_back(drawn({size}, static_cast<std::uint64_t>(i)) * std::pow(10.0, static_cast<double>(i % 5)));
  return all;
}

TEST(Shards, EveryRankOwnsAContiguousPartAndNoneIsEmpty) {
  for (std::int64_t count = 1; count <= 9; ++count) {
    for (std::int64_t ranks = 1; ranks <= count; ++ranks) {
      std::int64_t next = 0;
      for (std::int64_t rank = 0; rank < ranks; ++rank) {
        const Range part = part_of_rank(count, rank, ranks);
        EXPECT_EQ(part.begin, next);
        EXPECT_GT(part.size(), 0);
        next = part.end;
      }
      EXPECT_EQ(next, count);
    }
  }
}

TEST(Shards, SumMaxAndGatherHaveTheBitsOfOneRankForAnyNumberOfRanks) {
  for (const std::int64_t count : {1, 2, 3, 4, 5, 7, 8}) {
    OneRank alone;
    const auto copies = [&](Range own) {
      std::vector<torch::Tensor> part;
      for (std::int64_t i = own.begin; i < own.end; ++i)
        part.push_back(leaves(count, 50)[static_cast<std::size_t>(i)]);
      return part;
    };
    const Shards whole(alone, count);
    const auto sum = whole.sum(copies(whole.own())), max = whole.max(copies(whole.own()));
    const auto gathered = whole.gather(copies(whole.own()));
    EXPECT_TRUE(torch::equal(gathered, torch::stack(leaves(count, 50))));
    EXPECT_TRUE(torch::allclose(sum, gathered.sum(0), 1e-5, 1e-2));
    for (std::int64_t ranks = 2; ranks <= count; ++ranks) {
      RanksInMemory(ranks).run([&](Collective& collective) {
        const Shards shards(collective, count);
        EXPECT_TRUE(torch::equal(shards.sum(copies(shards.own())), sum)) << count << " shards, " << ranks;
        EXPECT_TRUE(torch::equal(shards.max(copies(shards.own())), max));
        EXPECT_TRUE(torch::equal(shards.gather(copies(shards.own())), gathered));
      });
    }
  }
}

// The check of the check: added in another order, these leaves do give other bits.
TEST(Shards, AnotherOrderOfAddingWouldShow) {
  const auto all = leaves(8, 50);
  auto one_by_one = torch::zeros({50});
  for (const auto& leaf : all) one_by_one.add_(leaf);
  OneRank alone;
  EXPECT_FALSE(torch::equal(Shards(alone, 8).sum(leaves(8, 50)), one_by_one));
}

TEST(Shards, MoreRanksThanShardsAreRefused) {
  EXPECT_THROW(RanksInMemory(3).run([](Collective& ranks) { Shards(ranks, 2); }), std::invalid_argument);
}

// Three networks of uneven size, several blocks, so that slices cut through parameters.
NamedTensors some_parameters() {
  return {{"backbone.blocks.0.attn.qkv.weight", drawn({300, 500}, 1)},
          {"backbone.blocks.0.attn.qkv.bias", drawn({300}, 2)},
          {"dino_head.mlp.0.weight", drawn({70, 1000}, 3)},
          {"dino_head.last_layer.weight_v", drawn({10, 7}, 4)}};
}

struct Updated {
  torch::Tensor values, averages;
  std::vector<double> norms;
};

Updated updated_on(Collective& ranks, std::int64_t count) {
  const Shards shards(ranks, count);
  FlatParameters parameters(some_parameters(), true), average(some_parameters(), false);
  GradientSum sum(parameters, shards);
  AdamW optimiser(parameters, average, sum.slice(), {.9, .2, 1});
  Updated updated;
  for (int step = 0; step < 3; ++step) {
    for (std::int64_t shard = shards.own().begin; shard < shards.own().end; ++shard) {
      auto seed = static_cast<std::uint64_t>(1000 * step + 10 * shard);
      for (const auto& gradient : parameters.gradient_views())
        gradient.detach().copy_(drawn(gradient.sizes(), seed++) * 1e-2);
      sum.add_shard();
      EXPECT_EQ(parameters.gradients().abs().max().item<float>(), 0);
    }
    const auto gradient = sum.reduce();
    const auto clipped = clip_gradients(parameters, sum.slice(), gradient, count, .5, ranks);
    optimiser.step(gradient, clipped.scales, {.01, .005, .1, .9});
    share_slices(parameters.values(), ranks);
    share_slices(average.values(), ranks);
    updated.norms = clipped.norms;
  }
  updated.values = parameters.values().clone();
  updated.averages = average.values().clone();
  return updated;
}

TEST(Shards, ThreeUpdatesHaveTheBitsOfOneRankForAnyNumberOfRanks) {
  OneRank alone;
  const Updated wanted = updated_on(alone, 4);
  EXPECT_FALSE(torch::equal(wanted.values, wanted.averages));
  for (const std::int64_t ranks : {2, 3, 4}) {
    RanksInMemory(ranks).run([&](Collective& collective) {
      const Updated given = updated_on(collective, 4);
      EXPECT_TRUE(torch::equal(given.values, wanted.values)) << ranks << " ranks";
      EXPECT_TRUE(torch::equal(given.averages, wanted.averages)) << ranks << " ranks";
      EXPECT_EQ(given.norms, wanted.norms);
    });
  }
}

TEST(FlatParameters, NetworksBeginAtBlocksAndTheSpaceBetweenIsZero) {
  FlatParameters parameters(some_parameters(), true);
  ASSERT_EQ(parameters.networks().size(), 2u);
  EXPECT_EQ(parameters.networks()[0].elements, (Range{0, 3 * kParameterBlock}));
  EXPECT_EQ(parameters.networks()[1].elements, (Range{3 * kParameterBlock, 5 * kParameterBlock}));
  EXPECT_EQ(parameters.offset(2), 3 * kParameterBlock);
  double all = 0;
  for (const auto& [name, tensor] : some_parameters()) all += tensor.abs().sum().item<double>();
  EXPECT_NEAR(parameters.values().abs().sum().item<double>(), all, 1e-1);
}

TEST(Health, OfUniformOneHotAndMixedTargets) {
  OneRank alone;
  const Shards shards(alone, 2);
  const auto uniform = torch::full({6, 8}, 1.0 / 8);
  EXPECT_NEAR(target_health({uniform, uniform}, shards).entropy, 1, 1e-6);
  EXPECT_NEAR(target_health({uniform, uniform}, shards).kl_to_uniform, 0, 1e-6);
  auto one_hot = torch::zeros({8, 8});
  one_hot.select(1, 3).fill_(1);
  const auto collapsed = target_health({one_hot, one_hot}, shards);
  EXPECT_NEAR(collapsed.entropy, 0, 1e-6);
  EXPECT_NEAR(collapsed.kl_to_uniform, std::log(8.0), 1e-6);
  const auto spread = target_health({torch::eye(8), torch::eye(8)}, shards);
  EXPECT_NEAR(spread.entropy, 0, 1e-6);
  EXPECT_NEAR(spread.kl_to_uniform, 0, 1e-6);
}

TEST(Health, OfSpreadOutFlatAndOneDimensionalFeatures) {
  OneRank alone;
  const Shards shards(alone, 2);
  at::manual_seed(1);
  const auto spread = feature_health({torch::randn({64, 16}), torch::randn({64, 16})}, shards);
  EXPECT_NEAR(spread.spread, 1, .1);
  EXPECT_GT(spread.effective_rank, 13);
  const auto row = torch::randn({1, 16});
  const auto flat = feature_health({row.repeat({64, 1}), row.repeat({64, 1})}, shards);
  EXPECT_LT(flat.spread, 1e-5);
  const auto line = feature_health({torch::randn({64, 1}) * row, torch::randn({64, 1}) * row}, shards);
  EXPECT_NEAR(line.effective_rank, 1, 1e-3);
}

}  // namespace
}  // namespace paddock::model
