#include "worker/agent.h"

#include <gtest/gtest.h>

#include <chrono>

#include "base/limits.h"

namespace paddock::worker {
namespace {

using namespace std::chrono_literals;

std::shared_ptr<StartOrder> order(std::uint64_t fence, unsigned ranks = 1, std::string job = "train") {
  auto made = std::make_shared<StartOrder>();
  made->job = JobKey{GraphId(1), JobName(std::move(job))};
  made->fence = Fence(fence);
  for (unsigned rank = 0; rank < ranks; ++rank) made->ranks.push_back({RankId(rank), rank, 1, {}});
  return made;
}

RankKey rank_of(std::uint64_t fence, unsigned rank = 0) {
  return RankKey{Fence(fence), RankId(rank)};
}

// A worker's agent over simulated time; effects pile up until take() asks for one kind of them.
class Scenario {
 public:
  static constexpr Millis kLease = 8s;

  Agent agent{Instant{0}};
  Instant now;

  void happens(const Event& event) { agent.apply(event, now, effects_); }
  void after(Millis time) {
    now = now + time;
    happens(TimePassed{});
  }
  // Goes from deadline to deadline, as the daemon does.
  void until(Instant end) {
    while (agent.next_wake() < end) {
      now = std::max(now, agent.next_wake());
      happens(TimePassed{});
    }
    now = end;
    happens(TimePassed{});
  }
  template <typename Kind>
  std::vector<Kind> take() {
    std::vector<Kind> found;
    std::erase_if(effects_, [&](const Effect& effect) {
      const Kind* kind = std::get_if<Kind>(&effect);
      if (kind != nullptr) found.push_back(*kind);
      return kind != nullptr;
    });
    return found;
  }
  std::vector<Report> take_reports() {
    std::vector<Report> all;
    for (const auto& batch : take<SendReports>())
      all.insert(all.end(), batch.reports.begin(), batch.reports.end());
    return all;
  }
  void joins() {
    happens(Connected{});
    happens(LeaseReceived{take<SendJoin>().back().sequence, kLease, true});
  }
  void runs(std::uint64_t fence, unsigned ranks = 1) {
    happens(StartAsked{order(fence, ranks)});
    for (const auto& start : take<StartRank>()) {
      happens(RankStarted{RankKey{start.order->fence, start.order->ranks[start.index].rank}, 100});
    }
  }

 private:
  Effects effects_;
};

TEST(Agent, JoinsWhenItIsConnectedAndIsReadyWithTheFirstLease) {
  Scenario worker;
  worker.happens(Connected{});
  const auto joins = worker.take<SendJoin>();
  ASSERT_FALSE(joins.empty());
  EXPECT_TRUE(worker.take<SayReady>().empty());
  worker.happens(LeaseReceived{joins.back().sequence, Scenario::kLease, true});
  EXPECT_EQ(worker.take<SayReady>().size(), 1u);
  EXPECT_TRUE(worker.agent.has_lease());
}

TEST(Agent, RenewsWithinEveryThirdOfTheLease) {
  Scenario worker;
  worker.joins();
  Instant last;
  for (int i = 0; i < 10; ++i) {
    worker.until(worker.agent.next_wake());
    const auto beats = worker.take<SendHeartbeat>();
    ASSERT_EQ(beats.size(), 1u);
    EXPECT_LE((worker.now - last) * 3, Scenario::kLease);
    last = worker.now;
    worker.happens(LeaseReceived{beats[0].sequence, Scenario::kLease, true});
  }
  EXPECT_TRUE(worker.agent.has_lease());
}

TEST(Agent, KillsItsRanksBeforeTheCoordinatorCouldPlaceThemElsewhere) {
  Scenario worker;
  worker.joins();
  worker.runs(7, 2);
  worker.until(Instant{} + Scenario::kLease - 1ms);
  EXPECT_EQ(worker.take<KillRank>().size(), 2u);
  EXPECT_FALSE(worker.agent.has_lease());
  worker.happens(RankEnded{rank_of(7), -1, 9, false});
  worker.take_reports();
  worker.joins();
  const auto reports = worker.take_reports();
  ASSERT_EQ(reports.size(), 3u);
  EXPECT_EQ(std::get<Ended>(reports[2].finding).reason, "killed by signal 9 (lease lapsed)");
}

TEST(Agent, ALeaseCountsFromWhenItWasAskedForNotFromWhenItCame) {
  Scenario worker;
  worker.joins();
  worker.runs(7);
  worker.until(Instant{} + 2s);
  const auto beats = worker.take<SendHeartbeat>();
  ASSERT_EQ(beats.size(), 1u);
  worker.until(Instant{} + 6s);
  worker.happens(LeaseReceived{beats[0].sequence, Scenario::kLease, true});  // four seconds on the way
  worker.until(Instant{} + 2s + Scenario::kLease);
  EXPECT_EQ(worker.take<KillRank>().size(), 1u);
}

TEST(Agent, AnAnswerThatComesAfterItsOwnLeaseGivesNone) {
  Scenario worker;
  worker.happens(Connected{});
  const auto sequence = worker.take<SendJoin>().back().sequence;
  worker.now = worker.now + Scenario::kLease;
  worker.happens(LeaseReceived{sequence, Scenario::kLease, true});
  EXPECT_FALSE(worker.agent.has_lease());
  worker.happens(StartAsked{order(7)});
  EXPECT_TRUE(worker.take<StartRank>().empty());
  EXPECT_EQ(worker.take<RefuseStart>().size(), 1u);
}

// The machine was suspended past the lease, and a renewal waits in the socket: the ranks go all the same.
TEST(Agent, ALapseIsSeenBeforeARenewalThatWaitedTooLong) {
  Scenario worker;
  worker.joins();
  worker.runs(7);
  worker.until(Instant{} + 7s - 1ms);
  const auto sequence = worker.take<SendHeartbeat>().back().sequence;
  worker.now = worker.now + 1s;
  worker.happens(LeaseReceived{sequence, Scenario::kLease, true});
  EXPECT_EQ(worker.take<KillRank>().size(), 1u);
}

TEST(Agent, AStartThatIsAskedForTwiceStartsOnce) {
  Scenario worker;
  worker.joins();
  worker.happens(StartAsked{order(7, 2)});
  worker.happens(StartAsked{order(7, 2)});
  EXPECT_EQ(worker.take<StartRank>().size(), 2u);
  for (const unsigned rank : {0u, 1u}) {
    worker.happens(RankStarted{rank_of(7, rank), 100});
    worker.happens(RankEnded{rank_of(7, rank), 0, 0, false});
  }
  worker.happens(StartAsked{order(7, 2)});  // was sent before the end was known
  EXPECT_TRUE(worker.take<StartRank>().empty());
}

TEST(Agent, AStaleFenceIsRefusedAndANewerOneEndsTheOlder) {
  Scenario worker;
  worker.joins();
  worker.runs(7);
  worker.happens(StartAsked{order(9)});
  EXPECT_EQ(worker.take<KillRank>().size(), 1u);
  EXPECT_EQ(worker.take<StartRank>().size(), 1u);
  worker.happens(StartAsked{order(8)});
  EXPECT_TRUE(worker.take<StartRank>().empty());
  EXPECT_EQ(worker.take<RefuseStart>().size(), 1u);
}

TEST(Agent, AnAttemptThatWasEndedBeforeItsStartCameDoesNotStart) {
  Scenario worker;
  worker.joins();
  worker.happens(EndAsked{Fence(7), 1s, "cancelled"});
  worker.happens(StartAsked{order(7)});
  EXPECT_TRUE(worker.take<StartRank>().empty());
}

TEST(Agent, AsksPolitelyAndKillsAfterTheGrace) {
  Scenario worker;
  worker.joins();
  worker.runs(7);
  worker.happens(EndAsked{Fence(7), 1500ms, "cancelled"});
  EXPECT_EQ(worker.take<TerminateRank>().size(), 1u);
  EXPECT_TRUE(worker.take<KillRank>().empty());
  EXPECT_EQ(worker.agent.next_wake(), worker.now + 1500ms);
  worker.after(1500ms);
  EXPECT_EQ(worker.take<KillRank>().size(), 1u);
  worker.happens(EndAsked{Fence(7), 1500ms, "cancelled"});  // the coordinator repeats itself
  worker.after(1500ms);
  EXPECT_TRUE(worker.take<TerminateRank>().empty());
  EXPECT_TRUE(worker.take<KillRank>().empty());
}

TEST(Agent, KeepsReportsUntilTheyAreAcknowledgedAndSendsThemAgainAfterAReconnect) {
  Scenario worker;
  worker.joins();
  worker.runs(7);
  worker.happens(RankSaid{rank_of(7), Checkpoint{10, "/store/a", "h", 1}});
  ASSERT_EQ(worker.take_reports().size(), 2u);
  worker.happens(ReportsAcknowledged{1});
  worker.happens(Connected{});
  const auto join = worker.take<SendJoin>().back();
  EXPECT_EQ(join.first_report, 2u);
  EXPECT_EQ(join.held, std::vector<RankKey>{rank_of(7)});
  worker.happens(RankSaid{rank_of(7), Artifact{"model", "/store/m", "h"}});  // nobody to tell
  EXPECT_TRUE(worker.take_reports().empty());
  worker.happens(LeaseReceived{join.sequence, Scenario::kLease, true});
  const auto again = worker.take_reports();
  ASSERT_EQ(again.size(), 2u);
  EXPECT_EQ(again[0].number, 2u);
  EXPECT_EQ(again[1].number, 3u);
  EXPECT_EQ(worker.take<ResendLogs>().size(), 2u);  // with every join
}

TEST(Agent, SendsAReportAgainThatIsNotAcknowledgedInTime) {
  Scenario worker;
  worker.joins();
  worker.runs(7);
  EXPECT_EQ(worker.take_reports().size(), 1u);
  worker.until(worker.now + 3s);
  EXPECT_EQ(worker.take_reports().size(), 1u);
  worker.happens(ReportsAcknowledged{1});
  worker.until(worker.now + 3s);
  EXPECT_TRUE(worker.take_reports().empty());
}

TEST(Agent, ForgetsARankWhenItsEndIsAcknowledged) {
  Scenario worker;
  worker.joins();
  worker.runs(7);
  worker.happens(RankEnded{rank_of(7), 0, 0, false});
  worker.happens(ReportsAcknowledged{1});
  EXPECT_TRUE(worker.take<ForgetRank>().empty());
  worker.happens(ReportsAcknowledged{2});
  EXPECT_EQ(worker.take<ForgetRank>().size(), 1u);
}

TEST(Agent, JoinsAgainWhenTheCoordinatorDoesNotKnowIt) {
  Scenario worker;
  worker.joins();
  worker.until(Instant{} + 2s);
  const auto beat = worker.take<SendHeartbeat>().back();
  worker.happens(LeaseReceived{beat.sequence, Millis(0), false});
  EXPECT_EQ(worker.take<SendJoin>().size(), 1u);
  worker.happens(LeaseReceived{beat.sequence, Millis(0), false});  // a late twin of that answer
  EXPECT_TRUE(worker.take<SendJoin>().empty());
  EXPECT_TRUE(worker.agent.has_lease());  // ranks go on meanwhile
}

TEST(Agent, KeepsNoMoreReportsThanTheLimitAndNeverLosesAnEnd) {
  Scenario worker;
  worker.joins();
  worker.runs(7);
  worker.happens(Connected{});
  for (std::size_t step = 0; step < limits::kReportsUnackedMax + 100; ++step) {
    worker.happens(RankSaid{rank_of(7), Checkpoint{static_cast<std::int64_t>(step), "/store/a", "h", 1}});
  }
  worker.happens(RankEnded{rank_of(7), 0, 0, false});
  EXPECT_GE(worker.agent.reports_dropped(), 101u);
  worker.joins();
  std::vector<Report> all;
  while (true) {
    const auto some = worker.take_reports();
    if (some.empty()) break;
    all.insert(all.end(), some.begin(), some.end());
    worker.happens(ReportsAcknowledged{some.back().number});
  }
  EXPECT_EQ(all.size(), limits::kReportsUnackedMax + 1);  // the start was sent before and again
  EXPECT_TRUE(std::holds_alternative<Ended>(all.back().finding));
}

TEST(Agent, StopsItsRanksReportsAndSaysGoodbye) {
  Scenario worker;
  worker.joins();
  worker.runs(7);
  worker.happens(StopAsked{5s});
  EXPECT_EQ(worker.take<TerminateRank>().size(), 1u);
  EXPECT_TRUE(worker.take<Exit>().empty());
  worker.happens(StartAsked{order(8, 1, "other")});
  EXPECT_TRUE(worker.take<StartRank>().empty());
  worker.happens(RankEnded{rank_of(7), 75, 0, false});
  EXPECT_TRUE(worker.take<Exit>().empty());
  worker.happens(ReportsAcknowledged{2});
  EXPECT_EQ(worker.take<SendLeave>().size(), 1u);
  EXPECT_EQ(worker.take<Exit>().size(), 1u);
}

TEST(Agent, DoesNotWaitForeverForACoordinatorWhenItStops) {
  Scenario worker;
  worker.joins();
  worker.runs(7);
  worker.happens(StopAsked{1s});
  worker.happens(RankEnded{rank_of(7), 75, 0, false});
  worker.until(worker.now + 2s);
  EXPECT_EQ(worker.take<Exit>().size(), 1u);
}

}  // namespace
}  // namespace paddock::worker
