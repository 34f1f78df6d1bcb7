// A phase that takes too long ends the rank, one that takes far longer than usual is noticed, with the rank that is behind; one
// that moves on is not.
#include "jobs/watchdog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

namespace paddock::jobs {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

WatchdogCalls end_by(std::function<void(const std::string&)> end) {
  WatchdogCalls calls;
  calls.end = std::move(end);
  return calls;
}

TEST(Watchdog, NamesThePhaseAndStepThatHang) {
  std::promise<std::string> said;
  Watchdog watchdog({.limit = milliseconds(20)},
                    end_by([&](const std::string& sentence) { said.set_value(sentence); }));
  watchdog.enter("reading pictures", 7);
  EXPECT_THAT(said.get_future().get(),
              HasSubstr("step 7: reading pictures took 0 s: this rank hangs and is ended"));
}

TEST(Watchdog, IsSilentWhenItIsOffOrEndedInTime) {
  bool is_ended = false;
  {
    Watchdog off({}, end_by([&](const std::string&) { is_ended = true; }));
    off.enter("reading pictures", 1);
    Watchdog long_enough({.limit = std::chrono::hours(1)},
                         end_by([&](const std::string&) { is_ended = true; }));
    long_enough.enter("the student's pass", 1);
  }
  EXPECT_FALSE(is_ended);
}

// A board that one other rank writes, once for each question or never again.
class TwoRanks final : public RollCall {
 public:
  explicit TwoRanks(bool is_other_alive) : is_other_alive_(is_other_alive) {}
  void say(const Whereabouts& own) override { own_ = own; }
  std::vector<std::optional<Whereabouts>> ask() override {
    other_.beat += is_other_alive_ ? 1 : 0;
    return {own_, other_};
  }

 private:
  const bool is_other_alive_;
  Whereabouts own_,
      other_{.step = 12, .operations = 5, .in_phase = std::chrono::seconds(2), .phase = "reading pictures"};
};

// Steps of two phases, so many that it is known how long they take.
void make_steps(Watchdog& watchdog) {
  for (int step = 0; step < 12; ++step) {
    watchdog.enter("reading pictures", step);
    watchdog.enter("the update", step, true);
  }
}

struct Noticed {
  Culprit culprit;
  std::string went_on;
};

Noticed notice(std::shared_ptr<RollCall> others, std::uint64_t operations) {
  std::promise<Culprit> noticed;
  Noticed seen;
  WatchdogCalls calls;
  calls.notice = [&](const Culprit& culprit) { noticed.set_value(culprit); };
  calls.went_on = [&](const Culprit& culprit, double) { seen.went_on = culprit.sentence; };
  calls.end = [](const std::string& sentence) { ADD_FAILURE() << sentence; };
  calls.operations = [operations] { return operations; };
  Watchdog watchdog({.limit = std::chrono::hours(1),
                     .rank = 0,
                     .notice_least = milliseconds(200),
                     .beat = milliseconds(10)},
                    calls, std::move(others));
  make_steps(watchdog);
  watchdog.enter("the update", 12, true);
  seen.culprit = noticed.get_future().get();
  watchdog.enter("reading pictures", 13);
  EXPECT_EQ(seen.went_on, seen.culprit.sentence);
  return seen;
}

TEST(Watchdog, NoticesWhatTakesFarLongerThanUsualAndThatItWentOn) {
  const auto seen = notice(nullptr, 0);
  EXPECT_EQ(seen.culprit.rank, 0);
  EXPECT_THAT(seen.culprit.sentence, HasSubstr("rank 0 has been at step 12, the update, for"));
}

TEST(Watchdog, NamesAnotherRankThatIsBehind) {
  const auto seen = notice(std::make_shared<TwoRanks>(true), 6);
  EXPECT_EQ(seen.culprit.rank, 1);
  EXPECT_EQ(seen.culprit.sentence, "rank 1 has been at step 12, reading pictures, for 2 s");
}

TEST(Watchdog, NamesAnotherRankThatIsSilent) {
  const auto seen = notice(std::make_shared<TwoRanks>(false), 5);
  EXPECT_EQ(seen.culprit.rank, 1);
  EXPECT_THAT(seen.culprit.sentence, HasSubstr("rank 1 has given no sign of life"));
}

TEST(Watchdog, DoesNotWaitForARankWithoutASignOfLife) {
  for (const bool is_other_alive : {false, true}) {
    std::promise<std::string> said;
    std::promise<Culprit> noticed;
    auto calls = end_by([&](const std::string& sentence) { said.set_value(sentence); });
    calls.notice = [&](const Culprit& culprit) { noticed.set_value(culprit); };
    calls.operations = [] { return 6; };
    Watchdog watchdog({.limit = is_other_alive ? milliseconds(2'000) : milliseconds(0),
                       .silence_limit = milliseconds(300),
                       .rank = 0,
                       .notice_least = milliseconds(200),
                       .beat = milliseconds(10)},
                      calls, std::make_shared<TwoRanks>(is_other_alive));
    make_steps(watchdog);
    watchdog.enter("the update", 12);
    EXPECT_EQ(noticed.get_future().get().rank, 1);
    EXPECT_THAT(said.get_future().get(),
                HasSubstr(is_other_alive ? "the update took 2 s: rank 1 has been at step 12"
                                         : "rank 1 has given no sign of life for 0 s"));
  }
}

// Before anything is known of what is usual.
TEST(Watchdog, NamesTheOtherAlsoWhenItEnds) {
  std::promise<std::string> said;
  auto calls = end_by([&](const std::string& sentence) { said.set_value(sentence); });
  calls.operations = [] { return 6; };
  Watchdog watchdog({.limit = milliseconds(400), .rank = 0, .beat = milliseconds(10)}, calls,
                    std::make_shared<TwoRanks>(true));
  watchdog.enter("the update", 12, true);
  const std::string sentence = said.get_future().get();
  EXPECT_THAT(sentence,
              HasSubstr("rank 1 has been at step 12, reading pictures, for 2 s; this rank is ended"));
}

// The store of rank 0 never answers: neither noticing nor ending the watch waits for it.
TEST(Watchdog, NamesRankZeroWhereTheRanksCannotMeet) {
  struct Gone final : RollCall {
    void say(const Whereabouts&) override {}
    std::vector<std::optional<Whereabouts>> ask() override {
      answered.get_future().wait();
      return {};
    }
    std::promise<void> answered;
  };
  const auto gone = std::make_shared<Gone>();
  EXPECT_THAT(notice(gone, 5).culprit.sentence,
              HasSubstr("rank 0, where the ranks meet, has given no sign of life"));
  gone->answered.set_value();
}

TEST(Watchdog, WritesTheStackOfEveryThread) {
  std::promise<void> begun, may_end;
  std::thread other([&, end = may_end.get_future().share()] {
    begun.set_value();
    end.wait();
  });
  begun.get_future().wait();
  testing::internal::CaptureStderr();
  std::thread([] { write_all_stacks(); }).join();
  const std::string text = testing::internal::GetCapturedStderr();
  may_end.set_value();
  other.join();
  // This thread waits in join, the other in wait: two stacks at least, each with frames.
  EXPECT_GE(std::count(text.begin(), text.end(), '\n'), 6) << text;
  EXPECT_THAT(text, testing::HasSubstr("stack of thread"));
  EXPECT_THAT(text, testing::HasSubstr("libc.so"));
  EXPECT_THAT(text, testing::Not(testing::HasSubstr("does not answer")));
}

}  // namespace
}  // namespace paddock::jobs
