// What a run is called by its numbers.
#include "jobs/health_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace paddock::jobs {
namespace {

using testing::HasSubstr;

TEST(HealthWatch, SaysOnceThatFeaturesHaveCollapsedAndAgainWhenTheyDoSoAgain) {
  HealthWatch watch;
  const model::FeatureHealth well{.9, 30}, flat{.001, 5}, line{.4, 1.1};
  EXPECT_FALSE(watch.judge_health(1, {.5, .1}, well));
  const auto sentence = watch.judge_health(2, {.5, .1}, flat);
  ASSERT_TRUE(sentence);
  EXPECT_THAT(*sentence, HasSubstr("step 2: the features have collapsed"));
  EXPECT_EQ(watch.state(), "collapse");
  EXPECT_FALSE(watch.judge_health(3, {.5, .1}, flat));
  EXPECT_FALSE(watch.judge_health(4, {.5, .1}, well));
  EXPECT_EQ(watch.state(), "");
  EXPECT_TRUE(watch.judge_health(5, {.5, .1}, line));
}

TEST(HealthWatch, CallsALossThatRisesFarOverItsBestDivergence) {
  HealthWatch watch;
  for (int step = 0; step < 200; ++step) EXPECT_FALSE(watch.judge_loss(step, 4 - step * .01)) << step;
  int said = 0;
  for (int step = 200; step < 500; ++step) said += watch.judge_loss(step, 9) ? 1 : 0;
  EXPECT_EQ(said, 1);
  EXPECT_EQ(watch.state(), "divergence");
}

TEST(HealthWatch, NamesARankThatIsSlowerThanTheRestForLong) {
  HealthWatch watch;
  for (int step = 0; step < 15; ++step) EXPECT_FALSE(watch.judge_ranks(step, {1, 1.1, 3}));
  std::string sentence;
  for (int step = 15; step < 60; ++step) sentence += watch.judge_ranks(step, {1, 1.1, 3}).value_or("");
  EXPECT_THAT(sentence, HasSubstr("rank 2 works 3 s a step, the others 1.1 s"));
  EXPECT_EQ(watch.state(), "slow rank 2");
  for (int step = 60; step < 100; ++step) watch.judge_ranks(step, {1, 1.1, 1});
  EXPECT_EQ(watch.state(), "");
  EXPECT_FALSE(HealthWatch().judge_ranks(1, {5}));
}

}  // namespace
}  // namespace paddock::jobs
