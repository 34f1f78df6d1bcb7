#include "worker/agent.h"

#include <gtest/gtest.h>

#include <algorithm>
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

// It was decided under a lease that is over: the attempt may be, too, and run elsewhere.
TEST(Agent, AnOrderToStartThatWasUnderWayForLongerThanALeaseIsRefused) {
  Scenario worker;
  worker.joins();
  StartOrder late = *order(7);
  worker.until(worker.agent.next_wake());
  const auto beat = worker.take<SendHeartbeat>().back().sequence;
  late.asked = beat;
  const Instant sent = worker.now;
  worker.happens(LeaseReceived{beat, Scenario::kLease, true});
  for (worker.until(worker.agent.next_wake()); worker.now < sent + Scenario::kLease;
       worker.until(worker.agent.next_wake()))
    worker.happens(LeaseReceived{worker.take<SendHeartbeat>().back().sequence, Scenario::kLease, true});
  EXPECT_TRUE(worker.agent.has_lease());
  worker.happens(StartAsked{std::make_shared<const StartOrder>(late)});
  EXPECT_TRUE(worker.take<StartRank>().empty());
  EXPECT_EQ(worker.take<RefuseStart>().size(), 1u);
  late.asked = worker.take<SendHeartbeat>().back().sequence;
  worker.happens(StartAsked{std::make_shared<const StartOrder>(late)});
  EXPECT_EQ(worker.take<StartRank>().size(), 1u);
}

TEST(Agent, JoinsAgainAtOnceAsTheCoordinatorSays) {
  Scenario worker;
  worker.happens(Connected{});
  const auto first = worker.take<SendJoin>().back();
  EXPECT_EQ(first.follows, 1u);
  worker.happens(LeaseReceived{first.sequence, Scenario::kLease, false, 4});
  const auto second = worker.take<SendJoin>();
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(second[0].follows, 4u);
  worker.happens(LeaseReceived{first.sequence, Scenario::kLease, false, 4});  // a twin of that answer
  worker.happens(LeaseReceived{second[0].sequence, Scenario::kLease, false, 4});
  EXPECT_TRUE(worker.take<SendJoin>().empty());  // not in a race: it waits its second
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

TEST(Agent, SendsALostReportAgainThoughOthersFollowItAllTheTime) {
  Scenario worker;
  worker.joins();
  worker.runs(7);
  EXPECT_EQ(worker.take_reports().size(), 1u);  // is lost, so nothing that follows it is taken
  std::size_t again = 0;
  for (std::int64_t step = 1; step <= 5; ++step) {
    worker.until(worker.now + 1s);
    worker.happens(RankSaid{rank_of(7), Checkpoint{step, "/store/a", "h", 1}});
    again += static_cast<std::size_t>(std::ranges::count(worker.take_reports(), 1u, &Report::number));
  }
  EXPECT_EQ(again, 1u);
}

TEST(Agent, WaitsAnewForWhatFollowsAnAcknowledgedReport) {
  Scenario worker;
  worker.joins();
  worker.runs(7);
  worker.until(worker.now + 2s);
  worker.happens(RankSaid{rank_of(7), Checkpoint{1, "/store/a", "h", 1}});
  worker.happens(ReportsAcknowledged{1});
  EXPECT_EQ(worker.take_reports().size(), 2u);
  worker.until(worker.now + 2s);
  EXPECT_TRUE(worker.take_reports().empty());
  worker.until(worker.now + 1s);
  EXPECT_EQ(worker.take_reports().size(), 1u);
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

// All that it sends after a join, acknowledged bit by bit.
std::vector<Report> all_reports(Scenario& worker) {
  std::vector<Report> all;
  while (true) {
    const auto some = worker.take_reports();
    if (some.empty()) return all;
    all.insert(all.end(), some.begin(), some.end());
    worker.happens(ReportsAcknowledged{some.back().number});
  }
}

TEST(Agent, GivesUpOnlyCheckpointsThatNewerOnesFollowWhenTooManyReportsWait) {
  Scenario worker;
  worker.joins();
  worker.runs(7);
  worker.happens(ReportsAcknowledged{worker.take_reports().back().number});
  worker.happens(Connected{});
  worker.happens(RankSaid{rank_of(7), Artifact{"data", "/store/d", "h"}});
  const std::int64_t steps = 3 * limits::kReportsUnackedMax;
  for (std::int64_t step = 1; step <= steps; ++step)
    worker.happens(RankSaid{rank_of(7), Checkpoint{step, "/store/a", "h", 1}});
  EXPECT_TRUE(worker.agent.takes_sayings());
  worker.happens(RankSaid{rank_of(7), Failure{"the last words"}});
  worker.happens(RankEnded{rank_of(7), 1, 0, false});
  worker.joins();
  const std::vector<Report> all = all_reports(worker);
  ASSERT_GE(all.size(), 4u);
  EXPECT_LE(all.size(), limits::kReportsUnackedMax);
  EXPECT_EQ(all.size() + worker.agent.reports_dropped(), static_cast<std::size_t>(steps) + 3);
  EXPECT_TRUE(std::holds_alternative<Artifact>(all.front().finding));
  EXPECT_EQ(std::get<Checkpoint>(all[all.size() - 3].finding).step, steps) << "the newest one stays";
  EXPECT_TRUE(std::holds_alternative<Failure>(all[all.size() - 2].finding));
  EXPECT_TRUE(std::holds_alternative<Ended>(all.back().finding));
  for (std::size_t i = 1; i < all.size(); ++i) EXPECT_LT(all[i - 1].number, all[i].number);
}

TEST(Agent, LosesNoResultButLetsRanksWaitWhenTooManyOfThemDo) {
  Scenario worker;
  worker.joins();
  worker.runs(7);
  worker.happens(ReportsAcknowledged{worker.take_reports().back().number});
  worker.happens(Connected{});
  std::size_t said = 0;
  for (; worker.agent.takes_sayings(); ++said)
    worker.happens(RankSaid{rank_of(7), Artifact{"a" + std::to_string(said), "/store", "h"}});
  EXPECT_EQ(said, limits::kReportsUnackedMax);
  worker.happens(RankSaid{rank_of(7), Artifact{"late", "/store", "h"}});  // it was on its way
  worker.joins();
  EXPECT_EQ(all_reports(worker).size(), said + 1);
  EXPECT_EQ(worker.agent.reports_dropped(), 0u);
  EXPECT_TRUE(worker.agent.takes_sayings());
}

TEST(Agent, TellsTheNewestProgressOfEachRankAfterAReconnect) {
  Scenario worker;
  worker.joins();
  worker.runs(7, 2);
  worker.happens(Connected{});
  worker.take_reports();
  for (const char* json : {R"({"step":1})", R"({"step":2})"}) {
    for (const unsigned rank : {0u, 1u}) worker.happens(RankSaid{rank_of(7, rank), Progress{json}});
  }
  EXPECT_TRUE(worker.take_reports().empty());
  worker.joins();
  std::vector<std::string> told;
  for (const Report& report : worker.take_reports()) {
    if (const auto* progress = std::get_if<Progress>(&report.finding)) told.push_back(progress->json);
  }
  EXPECT_EQ(told, (std::vector<std::string>{R"({"step":2})", R"({"step":2})"}));
}

// The coordinator gives the lease away when all of it has passed by its own clock, counted from when the heartbeat came.
TEST(Agent, KillsBeforeTheLeaseIsOverAlsoByAClockThatRunsATenthTooSlowOrTooFast) {
  for (const std::int64_t worker_ms_in_a_second : {900, 1'000, 1'100}) {
    Scenario worker;
    worker.joins();  // at the zero of both clocks
    worker.runs(7);
    Instant killed_at;
    while (worker.take<KillRank>().empty()) {
      killed_at = worker.agent.next_wake();
      worker.after(killed_at - worker.now);
    }
    EXPECT_LT(killed_at.ms * 1'000 / worker_ms_in_a_second, Scenario::kLease.count())
        << worker_ms_in_a_second;
  }
}

TEST(Agent, AMachineThatWasSuspendedBeyondItsLeaseKillsBeforeItListensToAnybody) {
  Scenario worker;
  worker.joins();
  worker.runs(7);
  worker.after(Scenario::kLease / 4);
  const auto beat = worker.take<SendHeartbeat>().back();
  worker.now = worker.now + 1h;  // its clock goes on while it sleeps: CLOCK_BOOTTIME
  worker.happens(LeaseReceived{beat.sequence, Scenario::kLease, true});  // was in the socket all the time
  EXPECT_EQ(worker.take<KillRank>().size(), 1u);
  EXPECT_FALSE(worker.agent.has_lease());
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
