#include "coordinator/archive.h"

#include <gtest/gtest.h>

#include "base/limits.h"
#include "scheduler/apply.h"
#include "scheduler/invariants.h"
#include "storage/database.h"
#include "tests/coordinator/story.h"
#include "tests/temporary_folder.h"

namespace paddock::coordinator {
namespace {

using namespace scheduler;

Cluster after_story() {
  Cluster cluster;
  Effects ignored;
  for (const Event& event : story()) {
    if (!std::holds_alternative<GraphsArchived>(event.what)) apply(cluster, event, ignored);
  }
  return cluster;
}

// Ended graphs 1 to `count` with `jobs` jobs each, graph i at i seconds, and one that is active.
Cluster with_ended(std::uint64_t count, std::uint64_t jobs) {
  Cluster cluster;
  for (std::uint64_t i = 1; i <= count + 1; ++i) {
    Graph& graph = cluster.graphs[GraphId{i}];
    graph.id = GraphId{i};
    graph.state = i <= count ? GraphState::kSucceeded : GraphState::kActive;
    graph.ended = WallTime{static_cast<std::int64_t>(i) * 1'000};
    for (std::uint64_t job = 0; job < jobs; ++job) graph.jobs[JobName{std::to_string(job)}];
  }
  return cluster;
}

TEST(Archive, GraphsLeaveByAgeThenByNumberTheOldestFirstAndActiveOnesNever) {
  const Cluster cluster = with_ended(10, 3);
  const auto chosen = [&](std::int64_t now_ms, std::int64_t keep_ms, std::uint64_t jobs_max) {
    return graphs_to_archive(cluster, WallTime{now_ms}, Millis(keep_ms), jobs_max).size();
  };
  EXPECT_EQ(chosen(10'000, 60'000, 30), 0u);
  EXPECT_EQ(chosen(10'000, 60'000, 29), 1u);
  EXPECT_EQ(chosen(10'000, 60'000, 0), 10u);
  EXPECT_EQ(chosen(12'000, 10'000, 30), 2u);
  EXPECT_EQ(chosen(1'000'000, 10'000, 30), 10u);
  const auto first = graphs_to_archive(cluster, WallTime{12'000}, Millis(10'000), 30);
  EXPECT_EQ(first, (std::vector<GraphId>{GraphId{1}, GraphId{2}}));
  EXPECT_EQ(graphs_to_archive(with_ended(2'000, 1), WallTime{10'000'000}, Millis(1), 0).size(),
            limits::kGraphsPerArchivingMax);
}

TEST(Archive, WhatLeavesTheClusterIsFoundWithAllItsJobsByNumberAndByToken) {
  Cluster cluster = after_story();
  const Graph before = cluster.graphs.at(GraphId{2});
  ASSERT_NE(before.state, GraphState::kActive);
  TemporaryFolder folder;
  auto database = storage::Database::open(folder.path());
  ASSERT_TRUE(database);
  ASSERT_TRUE(database->write(Archive::rows_of(cluster, {GraphId{2}})));
  Effects ignored;
  apply(cluster, Event{Moment{}, GraphsArchived{{GraphId{2}, GraphId{3}, GraphId{77}}}}, ignored);
  EXPECT_FALSE(cluster.graphs.contains(GraphId{2}));
  EXPECT_TRUE(cluster.graphs.contains(GraphId{3})) << "it is active";
  EXPECT_FALSE(cluster.tokens.contains("token-2"));
  EXPECT_TRUE(cluster.tokens.contains("token-3"));
  EXPECT_TRUE(check_invariants(cluster).empty());

  const Archive archive(*database);
  Cluster past;
  ASSERT_TRUE(*archive.find(GraphId{2}, past));
  EXPECT_TRUE(past.graphs.at(GraphId{2}) == before);
  EXPECT_FALSE(*archive.find(GraphId{3}, past));
  const auto listed = archive.newest();
  ASSERT_EQ(listed->size(), 1u);
  EXPECT_EQ(listed->front().name, "second");
  EXPECT_TRUE(listed->front().jobs.empty());
  EXPECT_EQ((*archive.with_token("token-2"))->id, GraphId{2});
  EXPECT_FALSE(*archive.with_token("token-3"));
}

TEST(Archive, AListHasTheNewestByRisingNumber) {
  const Cluster cluster = with_ended(1'100, 0);
  TemporaryFolder folder;
  auto database = storage::Database::open(folder.path());
  ASSERT_TRUE(database);
  std::vector<GraphId> all;
  for (std::uint64_t i = 1; i <= 1'100; ++i) all.emplace_back(i);
  ASSERT_TRUE(database->write(Archive::rows_of(cluster, all)));
  const auto listed = Archive(*database).newest();
  ASSERT_EQ(listed->size(), kArchivedListedMax);
  EXPECT_EQ(listed->front().id, GraphId{101});
  EXPECT_EQ(listed->back().id, GraphId{1'100});
}

TEST(Archive, AStageThatItsGraphMadeStaysInTheCache) {
  Cluster cluster = after_story();
  ASSERT_TRUE(cluster.stages.contains("key-of-data"));
  Effects ignored;
  apply(cluster, Event{Moment{}, GraphsArchived{{GraphId{1}, GraphId{2}}}}, ignored);
  EXPECT_TRUE(cluster.stages.contains("key-of-data"));
}

}  // namespace
}  // namespace paddock::coordinator
