// A phase that takes too long ends the rank, with its name; one that moves on does not.
#include "jobs/watchdog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

namespace paddock::jobs {
namespace {

using std::chrono::milliseconds;

TEST(Watchdog, NamesThePhaseAndStepThatHang) {
  std::promise<std::string> said;
  Watchdog watchdog(milliseconds(20), [&](const std::string& sentence) { said.set_value(sentence); });
  watchdog.enter("reading pictures", 7);
  EXPECT_THAT(said.get_future().get(), testing::HasSubstr("step 7: reading pictures took more than"));
}

TEST(Watchdog, IsSilentWhenItIsOffOrEndedInTime) {
  bool is_ended = false;
  {
    Watchdog off(milliseconds(0), [&](const std::string&) { is_ended = true; });
    off.enter("reading pictures", 1);
    Watchdog long_enough(std::chrono::hours(1), [&](const std::string&) { is_ended = true; });
    long_enough.enter("the student's pass", 1);
  }
  EXPECT_FALSE(is_ended);
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
