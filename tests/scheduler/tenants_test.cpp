#include "scheduler/fair_share.h"
#include "scheduler/priority.h"
#include "tests/scheduler/scenario.h"

namespace paddock::scheduler {
namespace {

std::vector<JobBuilder> jobs(int count) {
  std::vector<JobBuilder> all;
  for (int i = 0; i < count; ++i) all.push_back(job(("j" + std::to_string(i)).c_str()));
  return all;
}

int running(const Scenario& story, GraphId graph) {
  int count = 0;
  for (const auto& [name, job] : story.cluster.graphs.at(graph).jobs)
    count += job.state == JobState::kRunning ? 1 : 0;
  return count;
}

TEST(FairShare, TheTenantThatHasLeastGoesFirst) {
  Scenario story;
  const GraphId many = story.submit(jobs(20), 0, "", "ada");
  const GraphId few = story.submit(jobs(20), 0, "", "bob");
  story.join("a", 8);
  EXPECT_EQ(running(story, many), 4);
  EXPECT_EQ(running(story, few), 4);
}

TEST(FairShare, AShareGoesWithTheWeight) {
  Scenario story;
  story.happen(TenantSet{"ada", 3'000, {}});
  const GraphId three = story.submit(jobs(20), 0, "", "ada");
  const GraphId one = story.submit(jobs(20), 0, "", "bob");
  story.join("a", 8);
  EXPECT_EQ(running(story, three), 6);
  EXPECT_EQ(running(story, one), 2);
}

TEST(FairShare, WhoHadTheClusterYesterdayWaitsForWhoHadNot) {
  Scenario story;
  story.join("a", 4);
  const GraphId first = story.submit(jobs(4), 0, "", "ada");
  story.pass(3'600s);
  for (const char* name : {"j0", "j1", "j2", "j3"}) story.submit({job(name)}, 0, "", "ada");
  const GraphId late = story.submit(jobs(4), 0, "", "bob");
  story.end_all(first, "j0", 0);
  EXPECT_EQ(running(story, late), 1);
}

TEST(FairShare, TheDominantResourceCounts) {
  const Usage total{100, 10, 1'000};
  EXPECT_EQ(dominant_share({10, 0, 0}, total), 100'000);
  EXPECT_EQ(dominant_share({10, 5, 0}, total), 500'000);
  EXPECT_EQ(dominant_share({10, 5, 900}, total), 900'000);
  EXPECT_EQ(dominant_share({1, 0, 0}, Usage{}), 1'000'000);
  EXPECT_EQ(dominant_share({0, 0, std::uint64_t{1} << 50}, {1, 1, std::uint64_t{1} << 51}), 500'000);
}

TEST(FairShare, TheAverageHalvesInADay) {
  EXPECT_EQ(decayed(1'000, 0, kShareHalfLife), 500);
  EXPECT_EQ(decayed(1'000, 0, 2 * kShareHalfLife), 250);
  EXPECT_EQ(decayed(1'000, 0, kShareHalfLife / 2), 750);
  EXPECT_EQ(decayed(0, 1'000, kShareHalfLife), 500);
  EXPECT_EQ(decayed(1'000, 1'000, kShareHalfLife / 3), 1'000);
  EXPECT_EQ(decayed(1'000, 0, 1'000 * kShareHalfLife), 0);
}

TEST(Quota, BoundsWhatATenantRunsAtOnceAndLeavesTheRestToOthers) {
  Scenario story;
  story.join("a", 8);
  story.happen(TenantSet{"ada", 1'000, Usage{2, 0, 0}});
  const GraphId bound = story.submit(jobs(4), 0, "", "ada");
  const GraphId free = story.submit(jobs(4), 0, "", "bob");
  EXPECT_EQ(running(story, bound), 2);
  EXPECT_EQ(running(story, free), 4);
  EXPECT_EQ(story.why(bound, "j2"), "waits because its tenant ada may use 2 cores at once and uses 2");
  story.end_all(bound, "j0", 0);
  EXPECT_EQ(running(story, bound), 2);
  story.happen(TenantSet{"ada", 1'000, Usage{}});
  EXPECT_EQ(running(story, bound), 3);
}

TEST(Ageing, AStreamOfUrgentWorkDoesNotHoldOthersOffForEver) {
  Scenario story;
  story.join("a", 1);
  GraphId urgent = story.submit({job("x")}, 10);
  const GraphId patient = story.submit({job("x")}, 0);
  int minutes = 0;
  while (story.state(patient, "x") == "queued" && minutes < 30) {
    const GraphId next = story.submit({job("x")}, 10);
    story.pass(60s);
    ++minutes;
    story.end_all(urgent, "x", 0);
    urgent = next;
  }
  EXPECT_EQ(story.state(patient, "x"), "running");
  EXPECT_GE(minutes, 10);
  EXPECT_LE(minutes, 12);
}

}  // namespace
}  // namespace paddock::scheduler
