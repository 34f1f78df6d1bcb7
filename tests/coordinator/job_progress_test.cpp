// Whose words are shown as a job's progress.
#include "coordinator/job_progress.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace paddock::coordinator {
namespace {

const Fence kFence{7};

TEST(JobProgress, IsRankZeros) {
  JobProgress progress;
  EXPECT_EQ(progress.text(true), "");
  progress.take(kFence, 0, R"({"step":3})");
  progress.take(kFence, 1, R"({"step":900,"phase":"other"})");
  EXPECT_EQ(progress.text(true), R"({"step":3})");
}

TEST(JobProgress, AnotherRanksHealthIsShownUntilItIsWell) {
  JobProgress progress;
  progress.take(kFence, 0, R"({"step":3})");
  progress.take(kFence, 2, R"({"health":"rank 0 hangs"})");
  progress.take(kFence, 0, R"({"step":3})");  // said again with each heartbeat of its worker
  progress.take(kFence, 1, "{}");             // never complained
  EXPECT_EQ(nlohmann::json::parse(progress.text(true)),
            (nlohmann::json{{"step", 3}, {"health", "rank 0 hangs"}}));
  progress.take(kFence, 2, "{}");
  EXPECT_EQ(progress.text(true), R"({"step":3})");
}

TEST(JobProgress, TheirsStandsBesideRankZeros) {
  JobProgress progress;
  progress.take(kFence, 2, R"({"health":"rank 0 hangs"})");
  EXPECT_EQ(nlohmann::json::parse(progress.text(true)), (nlohmann::json{{"health", "rank 0 hangs"}}));
  progress.take(kFence, 0, R"({"health":"collapse"})");
  EXPECT_EQ(nlohmann::json::parse(progress.text(true))["health"], "collapse; rank 0 hangs");
  progress.take(kFence, 0, R"({"health":"rank 0 hangs"})");
  EXPECT_EQ(nlohmann::json::parse(progress.text(true))["health"], "rank 0 hangs");
}

TEST(JobProgress, OfAnAttemptThatIsOverOnlyRankZerosIsLeft) {
  JobProgress progress;
  progress.take(kFence, 0, R"({"step":3})");
  progress.take(kFence, 2, R"({"health":"rank 0 hangs"})");
  EXPECT_EQ(progress.text(false), R"({"step":3})");
}

TEST(JobProgress, ANewAttemptKnowsNothingOfTheOldOnesTroubles) {
  JobProgress progress;
  progress.take(kFence, 0, R"({"step":3})");
  progress.take(kFence, 2, R"({"health":"rank 0 hangs"})");
  progress.take(Fence{8}, 1, "{}");
  EXPECT_EQ(progress.text(true), "");
  progress.take(Fence{8}, 0, R"({"step":0})");
  EXPECT_EQ(progress.text(true), R"({"step":0})");
}

TEST(JobProgress, WhatIsNoJsonIsShownAsItIsAndSpoilsNothing) {
  JobProgress progress;
  progress.take(kFence, 0, "no json");
  EXPECT_EQ(progress.text(true), "no json");
  progress.take(kFence, 1, "[1]");
  progress.take(kFence, 1, R"({"health":5})");
  EXPECT_EQ(progress.text(true), "no json");
  progress.take(kFence, 1, "{\"health\":\"\xff hangs\"}");  // not UTF-8: no JSON
  EXPECT_EQ(progress.text(true), "no json");
}

}  // namespace
}  // namespace paddock::coordinator
