// Each start says why it came when it did and where it did.
#include <gmock/gmock.h>

#include "tests/scheduler/scenario.h"

namespace paddock::scheduler {
namespace {

using ::testing::HasSubstr;

class StartStory : public Scenario {
 public:
  std::string reason(GraphId graph, const char* name = "j") const {
    return why_started(cluster, {graph, JobName{name}}, at(graph, name).attempts.back());
  }
  // Of the node "a", which has room for one at a time.
  void free_it(GraphId graph) { end_all(graph, "j", 0); }
  GraphId one(std::int64_t priority = 0, const char* tenant = kTenantDefault) {
    return submit({job("j").cpus(4)}, priority, "", tenant);
  }
};

TEST(StartReason, NothingElseWaited) {
  StartStory story;
  story.join("a", 4);
  EXPECT_EQ(story.reason(story.one()),
            "it started when it did because nothing else was waiting; it got the one with least to spare of "
            "the nodes "
            "that fit");
}

TEST(StartReason, PriorityShareAndOrder) {
  StartStory story;
  story.join("a", 4);
  const GraphId busy = story.one(0, "ada");
  const GraphId low = story.one(0, "ada");
  const GraphId high = story.one(7, "ada");
  story.free_it(busy);
  EXPECT_THAT(story.reason(high), HasSubstr("of all that waited it had the highest priority, 7;"));
  const GraphId poor = story.one(0, "bob");
  story.pass(20s);
  story.free_it(high);
  EXPECT_THAT(story.reason(poor), HasSubstr("of its priority, tenant bob had had least of the cluster"));
  const GraphId later = story.one(0, "ada");
  story.free_it(poor);
  EXPECT_THAT(story.reason(low), HasSubstr("of its tenant and priority it was submitted first"));
  EXPECT_EQ(story.state(later, "j"), "queued");
}

TEST(StartReason, APriorityThatHasRisen) {
  StartStory story;
  story.join("a", 4);
  const GraphId busy = story.one(9);
  const GraphId low = story.one(0, "ada");
  story.pass(std::chrono::minutes(12));
  const GraphId urgent = story.one(5);
  story.free_it(busy);
  EXPECT_THAT(story.reason(low), HasSubstr("its priority had risen from 0 to 12"));
  EXPECT_EQ(story.state(urgent, "j"), "queued");
}

TEST(StartReason, AGapThatALargerOneLeaves) {
  StartStory story;
  story.join("a", 4);
  story.join("b", 4);
  story.submit({job("long").cpus(4).time_limit(100s)});
  const GraphId gang = story.submit({job("big").gang(2, 1).cpus(4)});
  ASSERT_EQ(story.state(gang, "big"), "queued");
  const GraphId small = story.submit({job("j").cpus(4).time_limit(60s)});
  ASSERT_EQ(story.state(small, "j"), "running");
  EXPECT_THAT(
      story.reason(small),
      HasSubstr(
          "it went before 2/big on nodes that are kept for that one, since its time limit of 1 min ends "
          "it in time"));
  story.end_all(small, "j", 0);
  story.end_all(GraphId{1}, "long", 0);
  EXPECT_THAT(story.reason(gang, "big"), HasSubstr("it got 2 nodes that had been kept for it"));
}

// One that does not fit waits as well, and came first.
TEST(StartReason, OthersThatCouldNotStartAreNotLeftOut) {
  StartStory story;
  story.join("a", 4);
  const GraphId busy = story.one();
  story.submit({job("j").cpus(5)}, 9);
  const GraphId first = story.one(3);
  const GraphId last = story.one(2);
  story.free_it(busy);
  EXPECT_THAT(story.reason(first),
              HasSubstr("because those before it that still waited could not start, and of the "
                        "others it had the highest priority, 3; it got"));
  story.free_it(first);
  EXPECT_THAT(story.reason(last),
              HasSubstr("because those before it that still waited could not start; it got"));
}

TEST(StartReason, OneThatWasSubmittedFirstOfItsTenantAndCouldNotStartIsNotLeftOut) {
  StartStory story;
  story.join("a", 4);
  const GraphId busy = story.one(0, "ada");
  story.submit({job("j").cpus(5)}, 0, "", "ada");
  const GraphId second = story.one(0, "ada");
  story.one(0, "ada");
  story.free_it(busy);
  EXPECT_THAT(story.reason(second), HasSubstr("those before it that still waited could not start, and of the "
                                              "others of its tenant and priority it was submitted first"));
}

// Only one of the two was kept.
TEST(StartReason, NodesAreCalledKeptWhereAllOfThemWere) {
  StartStory story;
  story.join("a", 4);
  const GraphId busy = story.one();
  const GraphId gang = story.submit({job("j").gang(2, 1).cpus(4).at_least(1)});
  ASSERT_EQ(story.cluster.holds.size(), 1u);
  story.happen(NodeJoined{NodeId{"b"}, 1, "", Offer{4, 1u << 30, {}, {29'500}}, story.now + 15s}, true);
  story.free_it(busy);
  ASSERT_EQ(story.newest(gang, "j").ranks.size(), 2u);
  EXPECT_THAT(story.reason(gang), HasSubstr("it got 2 nodes with least to spare"));
}

TEST(StartReason, RacksAndOtherNodesThanBefore) {
  StartStory story;
  for (const char* name : {"a1", "a2", "b1"}) {
    Offer offer{4, 1u << 30, {}, {29'500, 29'501}};
    offer.labels["rack"] = std::string(1, name[0]);
    story.join(name, offer);
  }
  const GraphId gang = story.submit({job("j").gang(2, 1)});
  EXPECT_THAT(story.reason(gang), HasSubstr("it got 2 nodes of one rack, a"));
  const GraphId single = story.submit({job("j")});
  const NodeId first = story.newest(single, "j").ranks.front().node;
  story.happen(RankEnded{story.newest(single, "j").fence, RankId{0}, -1, 9, "lost", false, true});
  story.pass(60s);
  ASSERT_EQ(story.at(single, "j").attempts.size(), 2u);
  EXPECT_NE(story.newest(single, "j").ranks.front().node, first);
  EXPECT_THAT(story.reason(single), HasSubstr("and not where an attempt of it was lost"));
}

}  // namespace
}  // namespace paddock::scheduler
