#include "jobs/evaluate/statistics.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"
#include "jobs/evaluate/html.h"
#include "jobs/evaluate/nearest_neighbours.h"

namespace paddock::evaluate {
namespace {

TEST(Wilson, GivesThePublishedIntervals) {
  // Newcombe 1998, table I: 81 of 263 and 15 of 148, without continuity correction.
  EXPECT_NEAR(wilson(81, 263).low, .2553, 5e-5);
  EXPECT_NEAR(wilson(81, 263).high, .3662, 5e-5);
  EXPECT_NEAR(wilson(15, 148).low, .0624, 5e-5);
  EXPECT_NEAR(wilson(15, 148).high, .1605, 5e-5);
  EXPECT_EQ(wilson(0, 20).low, 0);
  EXPECT_NEAR(wilson(0, 20).high, .1611, 5e-5);
  EXPECT_EQ(wilson(20, 20).high, 1);
}

TEST(McNemar, IsTheTwoSidedBinomialTest) {
  EXPECT_EQ(mcnemar_exact(0, 0), 1);
  EXPECT_NEAR(mcnemar_exact(5, 0), 2 * std::pow(.5, 5), 1e-12);
  EXPECT_NEAR(mcnemar_exact(1, 9), 2 * 11. / 1024, 1e-12);
  EXPECT_NEAR(mcnemar_exact(9, 1), mcnemar_exact(1, 9), 1e-15);
  EXPECT_NEAR(mcnemar_exact(7, 7), 1, 1e-12);
  // 121 against 59 (Edwards 1948's continuity-corrected chi-square of 20.67 has p 5.5e-6; the exact one
  // is 4.4e-6).
  EXPECT_NEAR(mcnemar_exact(121, 59), 4.43e-6, 2e-7);
}

TEST(MeanPerClass, CountsEveryClassAlike) {
  const std::vector<std::int32_t> labels = {0, 0, 0, 0, 2};
  const std::vector<bool> correct = {true, true, true, false, false};
  EXPECT_DOUBLE_EQ(mean_per_class(labels, correct, 4), (.75 + 0) / 2)
      << "classes without pictures do not count";
}

TEST(MeanPerClass, IntervalIsRepeatableAndHoldsTheMean) {
  std::vector<std::int32_t> labels;
  std::vector<bool> correct;
  for (std::uint64_t i = 0; i < 300; ++i) {
    labels.push_back(static_cast<std::int32_t>(i % 3));
    correct.push_back(Draws(1, i, Purpose::kInit).uniform() < .6);
  }
  const Interval first = mean_per_class_interval(labels, correct, 3, 1000, 7);
  const Interval again = mean_per_class_interval(labels, correct, 3, 1000, 7);
  EXPECT_EQ(first.low, again.low);
  EXPECT_EQ(first.high, again.high);
  const double mean = mean_per_class(labels, correct, 3);
  EXPECT_LT(first.low, mean);
  EXPECT_GT(first.high, mean);
  EXPECT_NEAR(first.high - first.low, 2 * 1.96 * std::sqrt(.24 / 300), .02);
}

FeatureTable random_table(std::size_t rows, std::size_t dim, std::uint64_t seed) {
  FeatureTable table{dim, {}};
  Draws draws(seed, 0, Purpose::kInit);
  for (std::size_t i = 0; i < rows * dim; ++i) table.values.push_back(static_cast<float>(draws.normal()));
  return l2_normalised(table);
}

// k-NN written out as plainly as it can be.
std::int32_t reference_vote(const FeatureTable& bank, const std::vector<std::int32_t>& labels,
                            std::span<const float> query, std::size_t k, std::size_t classes) {
  std::vector<std::pair<double, std::size_t>> scored;
  for (std::size_t b = 0; b < bank.size(); ++b) {
    double dot = 0;
    for (std::size_t d = 0; d < bank.dim; ++d) dot += static_cast<double>(query[d]) * bank.row(b)[d];
    scored.emplace_back(-dot, b);
  }
  std::sort(scored.begin(), scored.end());
  std::vector<double> votes(classes, 0);
  for (std::size_t i = 0; i < k; ++i)
    votes[static_cast<std::size_t>(labels[scored[i].second])] += std::exp(-scored[i].first / .07);
  return static_cast<std::int32_t>(std::max_element(votes.begin(), votes.end()) - votes.begin());
}

TEST(NearestNeighbours, ClassifyLikeTheBruteForceReference) {
  const FeatureTable bank = random_table(150, 37, 1);
  const FeatureTable queries = random_table(60, 37, 2);
  std::vector<std::int32_t> labels;
  for (std::uint64_t i = 0; i < bank.size(); ++i)
    labels.push_back(static_cast<std::int32_t>(Draws(3, i, Purpose::kInit).below(5)));
  const auto results = classify(nearest_rows(queries, bank, 100, 2), labels, 5, {10, 20, 100}, .07);
  ASSERT_EQ(results.size(), 3u);
  for (const KnnResult& result : results)
    for (std::size_t q = 0; q < queries.size(); ++q)
      EXPECT_EQ(result.predictions[q].label, reference_vote(bank, labels, queries.row(q), result.k, 5))
          << result.k << " " << q;
}

TEST(NearestNeighbours, AreFoundAmongRowsThatDifferInTheFourthDigit) {
  const FeatureTable common = random_table(1, 64, 9);
  FeatureTable bank = random_table(40, 64, 4);
  for (std::size_t r = 0; r < bank.size(); ++r)
    for (std::size_t d = 0; d < bank.dim; ++d)
      bank.values[r * bank.dim + d] = common.values[d] + 1e-4f * bank.values[r * bank.dim + d];
  FeatureTable queries = bank;
  for (std::size_t i = 0; i < queries.values.size(); ++i) queries.values[i] += i % 2 == 0 ? 2e-6f : -2e-6f;
  const auto found = nearest_rows(l2_normalised(queries), l2_normalised(bank), 1, 2);
  for (std::size_t q = 0; q < queries.size(); ++q) EXPECT_EQ(found[q][0].row, q);
}

TEST(NearestNeighbours, KIsClippedToTheBankAndCountedOnce) {
  const FeatureTable bank = random_table(15, 8, 1);
  const std::vector<std::int32_t> labels(15, 1);
  const auto results =
      classify(nearest_rows(random_table(4, 8, 2), bank, 100, 1), labels, 2, {10, 20, 100}, .07);
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(results[1].k, 15u);
  EXPECT_EQ(results[1].predictions[0].label, 1);
  EXPECT_NEAR(results[1].predictions[0].score, 1, 1e-6);
}

TEST(Html, TextIsEscapedAndBytesAreEncoded) {
  EXPECT_EQ(escaped("<a & \"b\">"), "&lt;a &amp; &quot;b&quot;&gt;");
  const std::string text = "light";
  EXPECT_EQ(base64(std::as_bytes(std::span(text))), "bGlnaHQ=");
  EXPECT_EQ(base64(std::as_bytes(std::span(text).first(3))), "bGln");
  EXPECT_EQ(number(12.500, 3), "12.5");
  EXPECT_EQ(number(std::nan(""), 3), "–");
}

TEST(Html, AChartOfNothingIsNothingAndOneOfPointsHasALine) {
  EXPECT_EQ(svg_of({"loss", "step", {{"a", {}}}, {}, ""}), "");
  const std::string svg =
      svg_of({"loss", "step", {{"a", {{0, 1}, {10, .5}, {20, std::nan("")}}}}, {5}, "resumed"});
  EXPECT_NE(svg.find("<polyline"), std::string::npos);
  EXPECT_NE(svg.find("class=\"mark\""), std::string::npos);
  EXPECT_EQ(svg.find("nan"), std::string::npos);
}

}  // namespace
}  // namespace paddock::evaluate
