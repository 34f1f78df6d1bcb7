#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/random.h"
#include "jobs/curate/clusters.h"
#include "jobs/curate/embeddings.h"
#include "jobs/curate/held_out.h"
#include "jobs/curate/linkage.h"
#include "jobs/curate/selection.h"
#include "jobs/curate/similarity_join.h"

namespace paddock::curate {
namespace {

std::vector<float> random_vector(std::uint64_t which, std::size_t dim) {
  Draws draws(11, which, Purpose::kInit);
  std::vector<float> vector(dim);
  for (float& value : vector) value = static_cast<float>(draws.normal());
  return vector;
}

// `groups` directions with `members` noisy copies each, the copies of a group next to each other.
Embeddings clumps(std::size_t groups, std::size_t members, std::size_t dim, float noise) {
  Embeddings set(dim);
  for (std::size_t g = 0; g < groups; ++g)
    for (std::size_t m = 0; m < members; ++m) {
      std::vector<float> vector = random_vector(g, dim);
      const std::vector<float> other = random_vector(1000 + g * members + m, dim);
      for (std::size_t d = 0; d < dim; ++d) vector[d] += noise * other[d];
      set.add(vector);
    }
  return set;
}

std::vector<std::uint32_t> in_order(std::size_t n) {
  std::vector<std::uint32_t> order(n);
  std::iota(order.begin(), order.end(), 0u);
  return order;
}

TEST(Embeddings, CosinesAreThoseOfFloatsToFourDigits) {
  const std::vector<float> a = random_vector(1, 77);
  std::vector<float> b = random_vector(2, 77);
  for (std::size_t d = 0; d < 77; ++d) b[d] += a[d];
  Embeddings set(77);
  set.add(a);
  set.add(b);
  set.add(std::vector<float>(77, 0.f));
  const double ab = std::inner_product(a.begin(), a.end(), b.begin(), 0.);
  const double aa = std::inner_product(a.begin(), a.end(), a.begin(), 0.);
  const double bb = std::inner_product(b.begin(), b.end(), b.begin(), 0.);
  EXPECT_NEAR(as_cosine(set.similarity(0, 1)), ab / std::sqrt(aa * bb), 2e-4);
  EXPECT_NEAR(as_cosine(set.similarity(0, 0)), 1, 2e-4);
  EXPECT_EQ(set.similarity(0, 2), 0) << "a zero vector is similar to nothing";
}

TEST(SimilarityJoin, FindsExactlyThePairsThatComparingAllFinds) {
  const Embeddings set = clumps(60, 3, 48, .5f);
  const std::int32_t threshold = at_least(.7);
  std::vector<Edge> expected;
  for (std::uint32_t a = 0; a < set.size(); ++a)
    for (std::uint32_t b = a + 1; b < set.size(); ++b)
      if (set.similarity(a, b) >= threshold) expected.push_back({a, b, set.similarity(a, b)});
  ASSERT_GT(expected.size(), 20u);
  EXPECT_EQ(join_above(set, threshold, 1, 10'000), expected);
  EXPECT_EQ(join_above(set, threshold, 3, 10'000), expected);
  EXPECT_THROW(join_above(set, threshold, 2, 5), std::runtime_error);
}

TEST(SimilarityJoin, NearestLeavesTheQueryOutAndPutsTheClosestFirst) {
  const Embeddings set = clumps(10, 4, 32, .3f);
  const auto found = nearest(set, {5, 20}, in_order(set.size()), 3, 2);
  ASSERT_EQ(found.size(), 2u);
  for (const Neighbour& neighbour : found[0]) EXPECT_EQ(neighbour.row / 4, 1u);
  for (const Neighbour& neighbour : found[1]) EXPECT_EQ(neighbour.row / 4, 5u);
  EXPECT_GE(found[0][0].similarity, found[0][1].similarity);
  for (const Neighbour& neighbour : found[0]) EXPECT_NE(neighbour.row, 5u);
}

// A chain: 0–1–2–3, neighbours similar, the ends not.
const std::vector<Edge> kChain = {{0, 1, 90}, {1, 2, 95}, {2, 3, 92}};

TEST(Linkage, StarBreaksAChainAndEveryMemberTouchesItsRepresentative) {
  const Groups groups = link(Linkage::kStar, {0, 1, 2, 3}, kChain);
  EXPECT_EQ(groups.representative, (std::vector<std::uint32_t>{0, 0, 2, 2}));
  EXPECT_EQ(groups.sizes(), (std::vector<std::uint32_t>{2, 0, 2, 0}));
}

TEST(Linkage, StarJoinsTheMostSimilarOfTheKept) {
  const Groups groups = link(Linkage::kStar, {0, 1, 2}, {{0, 2, 90}, {1, 2, 95}});
  EXPECT_EQ(groups.representative, (std::vector<std::uint32_t>{0, 1, 1}));
}

TEST(Linkage, ComponentsFollowChainsAndTheBestRepresents) {
  std::vector<Edge> edges = kChain;
  const Groups groups = link(Linkage::kComponents, {2, 0, 1, 3}, edges);
  EXPECT_EQ(groups.representative, (std::vector<std::uint32_t>{2, 2, 2, 2}));
  std::reverse(edges.begin(), edges.end());
  EXPECT_EQ(link(Linkage::kComponents, {2, 0, 1, 3}, edges).representative, groups.representative);
}

TEST(Clusters, AreTheSameForAnyNumberOfThreadsAndFindThePlantedOnes) {
  const Embeddings set = clumps(8, 90, 40, .25f);
  const Clusters one = cluster(set, 8, 20, 5, 1);
  const Clusters four = cluster(set, 8, 20, 5, 4);
  EXPECT_EQ(one.of, four.of);
  EXPECT_EQ(one.similarity, four.similarity);
  EXPECT_NE(cluster(set, 8, 0, 6, 1).similarity, cluster(set, 8, 0, 5, 1).similarity) << "the seed counts";
  std::size_t together = 0;
  for (std::size_t row = 0; row + 1 < set.size(); ++row)
    together += row / 90 == (row + 1) / 90 && one.of[row] == one.of[row + 1];
  EXPECT_GT(together, set.size() * 9 / 10);
}

TEST(Clusters, OfCopiesAreFewerThanAskedFor) {
  Embeddings set(32);
  for (int i = 0; i < 10; ++i) set.add(random_vector(3, 32));
  const Clusters clusters = cluster(set, 4, 5, 1, 2);
  for (const std::uint32_t centre : clusters.of) EXPECT_LT(centre, clusters.centres.size());
}

std::vector<std::string> hashes(std::size_t n) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < n; ++i) {
    char text[33];
    std::snprintf(text, sizeof text, "%032llx", static_cast<unsigned long long>(i * 0x9E3779B97F4A7C15u));
    out.emplace_back(text + 16);
    out.back() += text;
  }
  return out;
}

TEST(HeldOut, AGroupGoesWholeAndALargeOneStaysInTrain) {
  Groups groups;
  for (std::uint32_t i = 0; i < 300; ++i) groups.representative.push_back(i < 60 ? 0 : i / 3 * 3);
  HeldOutRules rules;
  rules.test_share = .4;
  rules.group_max = 50;
  const HeldOut held_out = hold_out(groups, hashes(300), {}, rules);
  std::size_t in_test = 0;
  for (std::uint32_t i = 0; i < 300; ++i) {
    EXPECT_EQ(held_out.side[i], held_out.side[groups.representative[i]]);
    in_test += held_out.side[i] == Side::kTest;
  }
  EXPECT_EQ(held_out.side[0], Side::kTrain);
  EXPECT_GT(in_test, 50u);
  EXPECT_LT(in_test, 150u);
}

TEST(HeldOut, ATrainPictureNearATestPictureLeavesWithItsGroup) {
  Groups groups;
  for (std::uint32_t i = 0; i < 60; ++i) groups.representative.push_back(i / 2 * 2);
  HeldOutRules rules;
  rules.test_share = .5;
  rules.leak_similarity = 90;
  const HeldOut clean = hold_out(groups, hashes(60), {}, rules);
  const auto on = [&](Side side) {
    return static_cast<std::uint32_t>(std::find(clean.side.begin(), clean.side.end(), side) -
                                      clean.side.begin());
  };
  const std::uint32_t train = on(Side::kTrain);
  const std::uint32_t test = on(Side::kTest);
  const Edge near{std::min(train, test), std::max(train, test), 95};
  const Edge far{std::min(train + 2, test), std::max(train + 2, test), 80};
  const HeldOut held_out = hold_out(groups, hashes(60), {near, far}, rules);
  ASSERT_EQ(held_out.leaks.size(), 1u);
  EXPECT_EQ(held_out.leaks[0].train, train);
  EXPECT_EQ(held_out.leaks[0].test, test);
  EXPECT_EQ(held_out.side[train], Side::kLeaked);
  EXPECT_EQ(held_out.side[train + 1], Side::kLeaked) << "the other of its group";
  EXPECT_EQ(held_out.side[test], Side::kTest);
}

TEST(Selection, KeepsSeedsAndTheirNeighboursOnly) {
  const Embeddings set = clumps(10, 6, 32, .3f);
  std::vector<bool> is_seed(set.size(), false);
  is_seed[12] = true;  // the third clump
  SelectionRules rules;
  rules.neighbours = 3;
  const Selection selection = select(set, in_order(set.size()), is_seed, hashes(set.size()), rules, 2);
  EXPECT_EQ(selection.neighbours_counted, 3u);
  std::size_t neighbours = 0;
  for (std::size_t row = 0; row < set.size(); ++row) {
    const Choice& choice = selection.choices[row];
    EXPECT_EQ(choice.way == Choice::Way::kSeed, row == 12);
    if (choice.way == Choice::Way::kNeighbour) {
      ++neighbours;
      EXPECT_EQ(row / 6, 2u);
      EXPECT_EQ(choice.partner, 12u);
    }
  }
  EXPECT_EQ(neighbours, 3u);
}

TEST(Selection, WithoutSeedsClustersAreCappedAndWithoutClustersAllIsKept) {
  const Embeddings set = clumps(4, 30, 32, .2f);
  const std::vector<bool> no_seeds(set.size(), false);
  SelectionRules rules;
  const Selection all = select(set, in_order(set.size()), no_seeds, hashes(set.size()), rules, 1);
  for (const Choice& choice : all.choices) EXPECT_EQ(choice.way, Choice::Way::kAll);
  rules.clusters = 4;
  rules.per_cluster = 10;
  const Selection capped = select(set, in_order(set.size()), no_seeds, hashes(set.size()), rules, 1);
  std::size_t kept = 0;
  for (const Choice& choice : capped.choices) kept += choice.way == Choice::Way::kCluster;
  EXPECT_LE(kept, 40u);
  EXPECT_GE(kept, 30u);
}

}  // namespace
}  // namespace paddock::curate
