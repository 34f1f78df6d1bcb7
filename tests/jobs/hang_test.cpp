// A rank that hangs is named by the others, or by itself, within ten seconds and a little, long before it is ended; when it goes
// on, the run does. Guarantee G9. PADDOCK_HANGS=N: each so often. And ranks whose network is cut end soon, guarantee G13.
#include <gmock/gmock.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "attempt.h"

namespace paddock::jobs {
namespace {

struct Hang {
  const char* name;
  std::string call;  // that does not return; empty: the whole process is stopped
  int rank;
  const char* sentence;  // a part of it
};

std::ostream& operator<<(std::ostream& out, const Hang& hang) {
  return out << hang.name;
}

class HangTest : public RunsTest, public testing::WithParamInterface<Hang> {};

int times_wanted() {
  const char* text = std::getenv("PADDOCK_HANGS");
  return text == nullptr ? 1 : std::atoi(text);
}

TEST_P(HangTest, IsNamedAndTheRunGoesOn) {
  auto options = tiny_options(dataset());
  options["run"]["checkpoint_every"] = 5;
  options["run"]["cache_megabytes"] = 0;  // so that every picture is read
  options["schedule"]["steps"] = 1'000'000;
  std::ofstream(spec_) << options.dump();
  const auto [name, call, rank, sentence] = GetParam();
  const auto is_hanging = folder_.path() / "hanging";
  for (int i = 0; i < times_wanted(); ++i) {
    const auto dir = folder_.path() / ("run-" + std::to_string(i));
    Attempt attempt("pretrain", spec_, dir, 2,
                    {{"LD_PRELOAD", PADDOCK_HANGING_CALLS},
                     {"PADDOCK_HANGING_CALL", call},
                     {"PADDOCK_HANGING_RANK", std::to_string(rank)},
                     {"PADDOCK_HANGING_WHILE", is_hanging.string()}});
    ASSERT_TRUE(attempt.wait_for("\"progress\"", 6)) << "enough steps to know what is usual";
    if (call.empty())
      attempt.signal(static_cast<std::size_t>(rank), SIGSTOP);
    else
      std::ofstream(is_hanging) << "";
    ASSERT_TRUE(attempt.wait_for(sentence, 1)) << "reported while it hangs";
    fs::remove(is_hanging);
    attempt.signal(static_cast<std::size_t>(rank), SIGCONT);
    ASSERT_TRUE(attempt.wait_for("\"loss\"", 2)) << "the run goes on";
    attempt.signal_all(SIGTERM);
    EXPECT_EQ(attempt.wait(), (std::vector<int>{75, 75}));
    // A rank 0 that was stopped may have moved on before it has seen what time it is.
    if (call.empty() && rank == 0) continue;
    const auto events = text_of_file(dir / "events.jsonl");
    EXPECT_THAT(events,
                testing::ContainsRegex("\"rank " + std::to_string(rank) + " .*; the run went on after 1"));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Of, HangTest,
    testing::Values(Hang{"AStoppedRank", "", 1, "rank 1 has given no sign of life"},
                    Hang{"TheStoppedRankWhereAllMeet", "", 0,
                         "rank 0, where the ranks meet, has given no sign of life"},
                    Hang{"AReadThatDoesNotReturn", "pread", 1, "rank 1 has been at step"},
                    Hang{"ASyncThatDoesNotReturn", "fsync", 0, "rank 0 has been at step"}),
    testing::PrintToStringParamName());

// A network of this process and its ranks alone, with a loopback that can be taken down: then nothing arrives, and nobody hears why.
class CutNetworkTest : public RunsTest {
 protected:
  void SetUp() override {
    if (::unshare(CLONE_NEWNET) != 0 || !set_loopback(true))
      GTEST_SKIP() << "a network of one's own needs root";
  }
  static bool set_loopback(bool is_up) {
    const int descriptor = ::socket(AF_INET, SOCK_DGRAM, 0);
    ifreq request{};
    std::strcpy(request.ifr_name, "lo");
    bool is_set = ::ioctl(descriptor, SIOCGIFFLAGS, &request) == 0;
    const int flags = is_up ? request.ifr_flags | IFF_UP : request.ifr_flags & ~IFF_UP;
    request.ifr_flags = static_cast<short>(flags);
    is_set = is_set && ::ioctl(descriptor, SIOCSIFFLAGS, &request) == 0;
    ::close(descriptor);
    return is_set;
  }
};

TEST_F(CutNetworkTest, EndsTheAttemptAndTheNextGoesOnInTheSameBits) {
  write_spec(150, "softmax", 5);
  const auto undisturbed = folder_.path() / "undisturbed", dir = folder_.path() / "cut";
  ASSERT_EQ(Attempt("pretrain", spec_, undisturbed, 1).wait(), std::vector<int>{0});
  {
    Attempt attempt("pretrain", spec_, dir, 2);
    ASSERT_TRUE(attempt.wait_for("\"checkpoint\"", 6)) << "enough steps to know what is usual";
    ASSERT_TRUE(set_loopback(false));
    EXPECT_TRUE(attempt.wait_for("\"failure\"", 1));
    EXPECT_EQ(attempt.wait(), (std::vector<int>{1, 1}));
    ASSERT_TRUE(set_loopback(true));
  }
  ASSERT_EQ(Attempt("pretrain", spec_, dir, 2).wait(), (std::vector<int>{0, 0}));
  EXPECT_TRUE(outcome(dir) == outcome(undisturbed));
}

}  // namespace
}  // namespace paddock::jobs
