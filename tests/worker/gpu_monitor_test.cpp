// The monitor against a process of its own that speaks to a stub of the driver's library (stub_nvml.cpp).
#include "worker/gpu_monitor.h"
#include "tests/temporary_folder.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace paddock::worker {
namespace {

namespace fs = std::filesystem;

class Gpus : public ::testing::Test {
 protected:
  Gpus() {
    mkfifo((folder / "faults").c_str(), 0600);
    setenv("LD_LIBRARY_PATH", PADDOCK_STUB_NVML, 1);
    setenv("PADDOCK_STUB_GPUS", "2", 1);
    setenv("PADDOCK_STUB_FAULTS", (folder / "faults").c_str(), 1);
    unsetenv("PADDOCK_STUB_HANGS");
    quiet.quiet();
    monitor.emplace(std::vector<std::string>{"/proc/self/exe", "gpu-watch"}, quiet);
  }
  ~Gpus() override { monitor.reset(); }

  void befalls(const std::string& line) const { std::ofstream(folder / "faults") << line << std::endl; }
  // Reads what comes, at one instant of the loop's clock, until this holds.
  template <typename Claim>
  void until(Claim claim) {
    while (!claim()) {
      pollfd item{monitor->descriptor(), POLLIN, 0};
      poll(&item, 1, -1);
      monitor->turn(Instant{0});
    }
  }
  // The first sign of life from now on: whatever happened before has been told by then.
  void sign_of_life() {
    const std::uint64_t before = monitor->signs_of_life();
    until([&] { return monitor->signs_of_life() > before; });
  }

  const TemporaryFolder own;
  const fs::path folder = own.path();
  Log quiet;
  std::optional<GpuMonitor> monitor;
};

TEST_F(Gpus, AreListedWithTheirNamesAndMemory) {
  const auto listed = monitor->list(std::chrono::seconds(30));
  ASSERT_TRUE(listed) << listed.error().message;
  ASSERT_EQ(listed->size(), 2u);
  EXPECT_EQ((*listed)[1].uuid, "GPU-stub-1");
  EXPECT_EQ((*listed)[1].model, "Stub H100 80GB");
  EXPECT_EQ((*listed)[1].memory_bytes, 80ull << 30);
}

TEST_F(Gpus, AreWatchedByAProcessThatNoSignalOfATerminalReaches) {
  ASSERT_TRUE(monitor->list(std::chrono::seconds(30)));
  ASSERT_EQ(monitor->pids().size(), 1u);
  const pid_t watcher = *monitor->pids().begin();
  EXPECT_EQ(getsid(watcher), watcher) << "it shares a session with whoever started it";
}

TEST_F(Gpus, AFaultOfTheDeviceCondemnsItAndAnErrorOfAProgramDoesNot) {
  ASSERT_TRUE(monitor->list(std::chrono::seconds(30)));
  for (const char* line :
       {"xid 0 13", "xid 0 31", "xid 0 43", "xid 0 45", "xid 0 68", "xid 0 109", "xid 0 999"})
    befalls(line);
  befalls("xid 1 79");
  sign_of_life();
  ASSERT_EQ(monitor->faults().size(), 1u);
  EXPECT_EQ(monitor->faults().at("GPU-stub-1"), "Xid 79 (the GPU has fallen off the bus)");
  befalls("memory 0");
  sign_of_life();
  EXPECT_EQ(monitor->faults().at("GPU-stub-0"), "an uncorrectable memory error (ECC)");
}

TEST_F(Gpus, ADeviceThatDoesNotAnswerIsCondemned) {
  ASSERT_TRUE(monitor->list(std::chrono::seconds(30)));
  befalls("lost 0");
  until([&] { return !monitor->faults().empty(); });
  EXPECT_TRUE(monitor->faults().contains("GPU-stub-0"));
}

TEST_F(Gpus, ADriverThatHangsIsGivenUpAndAskedAgainLater) {
  ASSERT_TRUE(monitor->list(std::chrono::seconds(30)));
  sign_of_life();
  befalls("hang");
  monitor->turn(Instant{0});
  monitor->turn(Instant{1'000'000});  // no sign of life since: it hangs
  EXPECT_FALSE(monitor->is_alive());
  EXPECT_EQ(monitor->descriptor(), -1);
  EXPECT_TRUE(monitor->faults().empty()) << "not to see them is not to know them ill";
  monitor->turn(monitor->next_wake());
  EXPECT_GE(monitor->descriptor(), 0);
  sign_of_life();
}

TEST_F(Gpus, AProcessThatDiesIsStartedAgain) {
  ASSERT_TRUE(monitor->list(std::chrono::seconds(30)));
  befalls("die");
  until([&] { return monitor->descriptor() < 0; });
  monitor->turn(monitor->next_wake());
  sign_of_life();
  EXPECT_TRUE(monitor->faults().empty());
}

TEST_F(Gpus, ADriverThatHangsFromTheStartIsSaidSo) {
  setenv("PADDOCK_STUB_HANGS", "1", 1);
  const auto listed = monitor->list(Millis(200));
  ASSERT_FALSE(listed);
  EXPECT_NE(listed.error().message.find("does not answer"), std::string::npos) << listed.error().message;
}

TEST_F(Gpus, WithoutADriverThereAreNoneAndNothingIsWatched) {
  setenv("PADDOCK_STUB_GPUS", "0", 1);
  const auto listed = monitor->list(std::chrono::seconds(30));
  ASSERT_TRUE(listed) << listed.error().message;
  EXPECT_TRUE(listed->empty());
  EXPECT_EQ(monitor->descriptor(), -1);
}

}  // namespace
}  // namespace paddock::worker
