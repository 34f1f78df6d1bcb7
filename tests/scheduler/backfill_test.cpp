#include "scheduler/backfill.h"

#include "scheduler/priority.h"
#include "scheduler/rest.h"
#include "tests/scheduler/scenario.h"

namespace paddock::scheduler {
namespace {

TEST(Backfill, AShortJobRunsInTheGapBeforeALargeGangAndALongOneDoesNot) {
  Scenario story;
  story.join("a", 2);
  story.join("b", 2);
  const GraphId first = story.submit({job("x").cpus(2).time_limit(3'600s)});
  const GraphId large = story.submit({job("x").gang(2, 1).cpus(2).time_limit(3'600s)});
  EXPECT_EQ(story.why(large, "x"),
            "waits for 2 nodes with 2 free cores each: a has 0 of 2 free, b would do; a, b will do in at "
            "most 61 min");
  const GraphId long_one = story.submit({job("x").time_limit(7'200s)});
  const GraphId endless = story.submit({job("x")});
  const GraphId short_one = story.submit({job("x").time_limit(1'800s)});
  EXPECT_EQ(story.state(long_one, "x"), "queued");
  EXPECT_EQ(story.state(endless, "x"), "queued");
  EXPECT_EQ(story.state(short_one, "x"), "running");
  EXPECT_EQ(story.why(endless, "x"), "waits its turn behind 2/x, for which a, b are being kept");
  story.end_all(short_one, "x", 0);
  story.end_all(first, "x", 0);
  EXPECT_EQ(story.state(large, "x"), "running");
}

TEST(Backfill, ALargeGangStartsHoweverManySmallJobsComeAfterIt) {
  Scenario story;
  for (const char* node : {"a", "b", "c", "d"}) story.join(node, 2);
  std::vector<GraphId> small;
  for (int i = 0; i < 8; ++i) small.push_back(story.submit({job("x").time_limit(600s)}));
  const GraphId large = story.submit({job("x").gang(4, 2)});
  for (int round = 0; round < 40 && story.state(large, "x") == "queued"; ++round) {
    story.pass(60s);
    for (std::size_t i = 0; i < small.size(); ++i) {
      if (story.state(small[i], "x") != "running" || (i + static_cast<std::size_t>(round)) % 3 != 0) continue;
      story.end_all(small[i], "x", 0);
      small[i] = story.submit({job("x").time_limit(600s)});
    }
  }
  EXPECT_EQ(story.state(large, "x"), "running");
}

// Nor do those keep it waiting for which the whole cluster is too small, however many there are.
TEST(Backfill, WhatIsTooLargeForTheClusterKeepsNobodyFromHavingNodesKept) {
  Scenario story;
  for (const char* node : {"a", "b"}) story.join(node, 2);
  story.submit({job("x").cpus(2)});
  for (std::uint32_t i = 0; i < 2 * kSearchesMax; ++i) story.submit({job("x").cpus(3 + i)}, 10);
  const GraphId large = story.submit({job("x").gang(2, 1).cpus(2)});
  ASSERT_EQ(story.cluster.holds.size(), 1u);
  EXPECT_EQ(story.cluster.holds[0].job.graph, large);
}

// Of six gangs of one priority four have nodes kept for them: the same four, whoever's share is the smallest now.
TEST(Backfill, AJobKeepsItsSeatWhileSharesGoUpAndDown) {
  Scenario story;
  for (const char* node : {"a", "b", "c", "d", "e", "f", "g", "h"}) story.join(node, 4);
  std::vector<GraphId> small;
  const auto fill = [&](int i) {
    small.push_back(story.submit({job("x").cpus(2)}, 0, "", "tenant" + std::to_string(i % 6)));
  };
  for (int i = 0; i < 16; ++i) fill(i);
  for (int i = 0; i < 6; ++i)
    story.submit({job("x").gang(2, 1).cpus(4)}, 0, "", "tenant" + std::to_string(i));
  ASSERT_EQ(story.cluster.holds.size(), kHoldsMax);
  std::set<JobKey> kept;
  for (const Hold& hold : story.cluster.holds) kept.insert(hold.job);
  for (std::size_t i = 0; i < 4; ++i) {  // another of each node's two jobs ends, so nobody can start
    story.pass(5s);
    story.end_all(small[2 * i + (i % 2)], "x", 0);
    std::set<JobKey> now;
    for (const Hold& hold : story.cluster.holds) now.insert(hold.job);
    EXPECT_EQ(now, kept) << i;
  }
}

// What should have ended is late; the nodes stay kept, and nobody else is asked to go for the same job.
TEST(Backfill, WhatIsLateIsWaitedFor) {
  Scenario story;
  story.join("a", 2);
  story.join("b", 2);
  const GraphId late = story.submit({job("x").cpus(2).time_limit(60s)});
  story.submit({job("x").cpus(2)});
  const GraphId next = story.submit({job("x").cpus(2).time_limit(60s)});
  story.pass(75s);  // its limit and its grace are over, and its worker has not said that it is gone
  EXPECT_EQ(story.state(late, "x"), "running");
  story.submit({job("x").cpus(1)});
  const Hold* hold = find_hold(story.cluster, JobKey{next, JobName{"x"}});
  ASSERT_NE(hold, nullptr);
  EXPECT_EQ(hold->nodes, std::set<NodeId>{NodeId{"a"}});
  EXPECT_EQ(hold->from, kNever);
  story.pass(5s);
  story.end_all(late, "x", 75);
  EXPECT_EQ(story.state(next, "x"), "running");
}

TEST(Backfill, KeepsTheNodesThatHaveRoomSoonest) {
  Scenario story;
  for (const char* node : {"a", "b", "c"}) story.join(node, 2);
  story.submit({job("x").cpus(2).time_limit(3'600s)});
  story.submit({job("x").cpus(2).time_limit(600s)});
  story.submit({job("x").cpus(2).time_limit(1'200s)});
  const GraphId large = story.submit({job("x").gang(2, 1).cpus(2)});
  ASSERT_EQ(story.cluster.holds.size(), 1u);
  EXPECT_EQ(story.cluster.holds[0].job.graph, large);
  EXPECT_EQ(story.cluster.holds[0].nodes, (std::set<NodeId>{NodeId{"b"}, NodeId{"c"}}));
  EXPECT_EQ(story.cluster.holds[0].from, story.now + 1'200s + 10s) << "the grace counts";
}

TEST(Backfill, WhatIsBeingEndedFreesItsNodeAfterItsGrace) {
  Scenario story;
  story.join("a", 2);
  story.join("b", 2);
  const GraphId endless = story.submit({job("x").cpus(2)});
  story.submit({job("x").cpus(2).time_limit(600s)});
  story.cancel(endless);
  story.submit({job("x").cpus(2)});
  ASSERT_EQ(story.cluster.holds.size(), 1u);
  EXPECT_EQ(story.cluster.holds[0].nodes, std::set<NodeId>{NodeId{"a"}});
  EXPECT_EQ(story.cluster.holds[0].from, story.now + 10s);
}

// Of as many kinds, none like those of another priority, for which the cluster is too small.
void submit_too_large(Scenario& story, std::size_t kinds, std::int64_t priority) {
  std::vector<JobBuilder> jobs;
  for (std::size_t i = 0; i < kinds; ++i)
    jobs.push_back(job(("j" + std::to_string(i)).c_str())
                       .memory((2ull << 30) + 1'000 * static_cast<std::uint64_t>(priority + 100) + i));
  story.prepares_by_itself = false;
  const GraphId graph = story.submit(jobs, priority, "", "ada");
  for (const JobBuilder& each : jobs)  // one decision about all of them
    story.happen(JobPrepared{{graph, each.request.name}, {}, false, {}}, true);
  story.prepares_by_itself = true;
}

// A decision stays short however long the queue is, and whoever wants what is not to be had keeps nobody else waiting.
TEST(Backfill, TriesSoManyKindsOfAClassInVainAndNoMore) {
  Scenario story;
  story.join("a", 3);
  story.checks_invariants = false;
  submit_too_large(story, kGroupsInVainMax + kRestTriedMax, 0);
  const GraphId beyond = story.submit({job("x")}, 0, "", "ada");
  EXPECT_EQ(story.state(beyond, "x"), "queued");
  const GraphId urgent = story.submit({job("x")}, 1, "", "ada");
  EXPECT_EQ(story.state(urgent, "x"), "running");
  const GraphId other = story.submit({job("x")}, 0, "", "bob");
  EXPECT_EQ(story.state(other, "x"), "running");
  story.checks_invariants = true;
  story.cancel(GraphId{1});
  EXPECT_EQ(story.state(beyond, "x"), "running");
}

// One tenant asks for twenty times a hundred things that are not to be had: more than a decision tries. Whoever comes behind them
// starts all the same, and though nothing else happens.
TEST(Backfill, WhatFitsDoesNotStarveBehindWhateverDoesNot) {
  for (const char* tenant : {"ada", "bob"}) {
    Scenario story;
    story.checks_invariants = false;
    story.join("a", 3);
    for (std::int64_t priority = 1; priority <= 20; ++priority) submit_too_large(story, 100, priority);
    const GraphId behind = story.submit({job("x")}, 0, "", tenant);
    story.pass(10s);
    EXPECT_EQ(story.state(behind, "x"), "running") << tenant;
    EXPECT_FALSE(story.cluster.rest) << "all has been looked at, and nothing has changed";
    story.end_all(behind, "x", 0);
    const GraphId next = story.submit({job("x")}, 0, "", tenant);
    story.pass(10s);
    EXPECT_EQ(story.state(next, "x"), "running") << tenant;
    EXPECT_NE(
        why_started(story.cluster, {next, JobName{"x"}}, story.newest(next, "x")).find("it was found to fit"),
        std::string::npos);
    story.checks_invariants = true;
    story.end_all(next, "x", 0);
  }
}

// Of one tenant's jobs that were not come to the more urgent start first.
TEST(Backfill, TheRestOfATenantIsLookedThroughFromItsHighestPriority) {
  Scenario story;
  story.checks_invariants = false;
  const GraphId busy = [&] {
    story.join("a", 1);
    return story.submit({job("x")}, 99, "", "zoe");
  }();
  submit_too_large(story, kGroupsInVainMax + 1, 10);
  submit_too_large(story, kGroupsInVainMax + 1, 90);
  const GraphId slight = story.submit({job("x")}, 10, "", "ada");
  const GraphId urgent = story.submit({job("x")}, 90, "", "ada");
  story.end_all(busy, "x", 0);
  story.pass(10s);
  EXPECT_EQ(story.state(urgent, "x"), "running");
  EXPECT_EQ(story.state(slight, "x"), "queued");
  story.checks_invariants = true;
  story.end_all(urgent, "x", 0);
}

TEST(Rest, ClassesAreByTenantAndOfEachTheHighestPriorityFirst) {
  Groups::Classes classes;
  for (const ClassKey& key : {ClassKey{"ada", -5}, {"ada", 3}, {"ada", 90}, {"bob", 0}, {"cy", 7}, {"cy", 8}})
    classes[key];
  std::vector<ClassKey> order;
  for (auto at = class_from(classes, Rest().key); at != classes.end();
       at = class_from(classes, {at->first.first, at->first.second - 1}))
    order.push_back(at->first);
  EXPECT_EQ(order,
            (std::vector<ClassKey>{{"ada", 90}, {"ada", 3}, {"ada", -5}, {"bob", 0}, {"cy", 8}, {"cy", 7}}));
  EXPECT_EQ(class_from(classes, {"ada", 50})->first, (ClassKey{"ada", 3})) << "a class that is gone";
  EXPECT_EQ(class_from(classes, {"b", 50})->first, (ClassKey{"bob", 0})) << "a tenant that is gone";
}

// What has been looked at is looked at again where something came free meanwhile.
TEST(Backfill, WhatCameFreeWhileTheRestIsLookedThroughIsSeenByAllOfIt) {
  Scenario story;
  story.checks_invariants = false;
  story.join("a", 3);
  const GraphId busy = story.submit({job("x").cpus(3)}, 99, "", "zoe");
  submit_too_large(story, kGroupsInVainMax, 0);
  const GraphId early = story.submit({job("x").cpus(2)}, 0, "", "ada");
  for (std::int64_t priority = -40; priority <= -1; ++priority) submit_too_large(story, 100, priority);
  story.pass(2s);
  ASSERT_TRUE(story.cluster.rest && story.cluster.rest->key.second < -1) << "it is behind the early one";
  story.end_all(busy, "x", 0);
  EXPECT_EQ(story.state(early, "x"), "queued");
  story.pass(30s);
  EXPECT_EQ(story.state(early, "x"), "running");
  story.checks_invariants = true;
  story.end_all(early, "x", 0);
}

// A node with GPUs of two kinds, each held by a job of low priority.
class MixedStory : public Scenario {
 public:
  MixedStory() {
    Offer offer{4, 1u << 30, {}, {29'500, 29'501, 29'502}};
    offer.gpus = {{"GPU-1", "H100", 80ull << 30}, {"GPU-2", "A100", 40ull << 30}};
    join("m", offer);
  }
  GraphId hold(const char* kind, Millis limit = Millis(0)) {
    return submit({job("x").gpus(1).gpu_kind(kind).preemptible().time_limit(limit)});
  }
};

TEST(Preemption, WhoHasTheRightKindOfGpuMakesRoomAndNobodyElse) {
  for (const bool wants_old : {true, false}) {
    MixedStory story;
    const GraphId old_one = story.hold("H100");
    const GraphId new_one = story.hold("A100");
    const GraphId high = story.submit({job("x").gpus(1).gpu_kind(wants_old ? "H100" : "A100")}, 9);
    EXPECT_EQ(story.newest(old_one, "x").ending.has_value(), wants_old);
    EXPECT_EQ(story.newest(new_one, "x").ending.has_value(), !wants_old);
    story.end_all(wants_old ? old_one : new_one, "x", 75);
    EXPECT_EQ(story.state(high, "x"), "running");
  }
}

TEST(Preemption, NobodyGoesWhereTheGpusThatAreGivenBackAreOfAnotherKind) {
  MixedStory story;
  const GraphId low = story.hold("A100");
  story.submit({job("x").gpus(1).gpu_memory(60ull << 30)});
  story.submit({job("x").gpus(1).gpu_memory(60ull << 30)}, 9);
  EXPECT_FALSE(story.newest(low, "x").ending);
}

TEST(Backfill, WhenAGpuOfTheRightKindComesFreeIsKnown) {
  MixedStory story;
  story.hold("H100", 100s);
  story.hold("A100", 600s);
  story.submit({job("x").gpus(1).gpu_kind("H100").time_limit(60s)});
  ASSERT_EQ(story.cluster.holds.size(), 1u);
  EXPECT_EQ(story.cluster.holds[0].from, story.now + 110s);
}

TEST(Preemption, OneGangGoesAndNotAPartOfEach) {
  Scenario story;
  for (const char* node : {"a", "b", "c", "d"}) story.join(node, 2);
  const GraphId old_gang = story.submit({job("x").gang(2, 2).preemptible()});
  const GraphId new_gang = story.submit({job("x").gang(2, 2).preemptible()});
  story.submit({job("x").gang(2, 2)}, 10);
  EXPECT_FALSE(story.newest(old_gang, "x").ending);
  EXPECT_TRUE(story.newest(new_gang, "x").ending);
}

TEST(Preemption, MakesRoomAndThePreemptedJobGoesOnLaterAtNoCost) {
  Scenario story;
  story.join("a", 2);
  const GraphId low = story.submit({job("x").cpus(2).preemptible()}, 0);
  story.effects.clear();
  const GraphId high = story.submit({job("x").cpus(2)}, 10);
  ASSERT_EQ(story.taken<EndAttempt>().size(), 1u);
  EXPECT_EQ(story.taken<EndAttempt>()[0].grace, Millis(10s));
  EXPECT_EQ(story.why(low, "x"), "is being ended: makes room for 2/x, whose priority is higher");
  EXPECT_EQ(story.why(high, "x"), "waits for 1/x of lower priority to make room on a");
  const GraphId sneaky = story.submit({job("x")}, 5);
  story.end_all(low, "x", 75);
  EXPECT_EQ(story.state(high, "x"), "running");
  story.pass(5s);
  EXPECT_EQ(story.state(low, "x"), "queued");
  EXPECT_EQ(story.at(low, "x").failures, 0);
  story.end_all(high, "x", 0);
  EXPECT_EQ(story.state(sneaky, "x"), "running");
}

TEST(Preemption, TakesOnlyWhatItNeedsAndNeverEqualsOrThoseThatCannotGoOn) {
  Scenario story;
  story.join("a", 2);
  story.join("b", 2);
  const GraphId old_one = story.submit({job("x").cpus(2).preemptible()});
  const GraphId new_one = story.submit({job("x").cpus(2).preemptible()});
  const GraphId same = story.submit({job("x")}, 0);
  EXPECT_FALSE(story.newest(new_one, "x").ending);
  const GraphId high = story.submit({job("x")}, 1);
  EXPECT_FALSE(story.newest(old_one, "x").ending);
  EXPECT_TRUE(story.newest(new_one, "x").ending);
  story.end_all(new_one, "x", 75);
  EXPECT_EQ(story.state(high, "x"), "running");
  EXPECT_EQ(story.state(same, "x"), "running");
  const GraphId stubborn = story.submit({job("x").cpus(2)}, 0);
  story.end_all(old_one, "x", 0);
  ASSERT_EQ(story.state(new_one, "x"), "backing_off");
  EXPECT_EQ(story.state(stubborn, "x"), "running");
  const GraphId urgent = story.submit({job("x").cpus(2)}, 100);
  EXPECT_FALSE(story.newest(stubborn, "x").ending);
  EXPECT_EQ(story.state(urgent, "x"), "queued");
}

TEST(Elastic, BeginsWithWhatThereIsAndGrowsAtACheckpoint) {
  Scenario story;
  story.join("a", 2);
  const GraphId graph = story.submit({job("train").gang(3, 2).at_least(1)});
  ASSERT_EQ(story.state(graph, "train"), "running");
  EXPECT_EQ(story.newest(graph, "train").ranks.size(), 2u);
  story.join("b", 2);
  story.join("c", 2);
  const Fence fence = story.newest(graph, "train").fence;
  story.happen(CheckpointRecorded{fence, 1, "/store/c", "h", 1});
  EXPECT_FALSE(story.newest(graph, "train").ending) << "it has only just begun";
  story.pass(300s);
  story.happen(CheckpointRecorded{fence, 2, "/store/c", "h", 1});
  EXPECT_EQ(story.why(graph, "train"), "is being ended: grows from 1 node to 3");
  story.end_all(graph, "train", 75);
  story.pass(1s);
  EXPECT_EQ(story.newest(graph, "train").ranks.size(), 6u);
  EXPECT_EQ(story.at(graph, "train").failures, 0);
}

TEST(Elastic, DoesNotGrowWhileOthersWait) {
  Scenario story;
  story.join("a", 2);
  const GraphId graph = story.submit({job("train").gang(2, 2).at_least(1)});
  const GraphId other = story.submit({job("x").gang(2, 2)});
  story.join("b", 2);
  story.pass(300s);
  story.happen(CheckpointRecorded{story.newest(graph, "train").fence, 2, "/store/c", "h", 1});
  EXPECT_FALSE(story.newest(graph, "train").ending);
  EXPECT_EQ(story.state(other, "x"), "queued");
}

}  // namespace
}  // namespace paddock::scheduler
