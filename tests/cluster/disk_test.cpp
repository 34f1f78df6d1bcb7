// A disk of the coordinator that is full, or slow: what was accepted is never lost, and what cannot be is refused in words.
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <set>

#include "tests/cluster/real_cluster.h"

namespace paddock::cluster_test {
namespace {

constexpr const char* kQuick = "graph: quick\njobs:\n  job: { kind: command, command: [\"true\"] }\n";

// The coordinator's state folder on a disk of 96 MiB of its own.
class SmallDisk : public RealCluster {
 protected:
  void SetUp() override {
    fs::create_directories(disk());
    if (mount("tmpfs", disk().c_str(), "tmpfs", 0, "size=96m") != 0)
      GTEST_SKIP() << "mounting a small disk needs root: " << std::generic_category().message(errno);
    is_mounted_ = true;
  }
  void TearDown() override {
    stop_all();
    if (is_mounted_) umount2(disk().c_str(), MNT_DETACH);
  }
  fs::path disk() const { return folder / "coordinator"; }

  // Takes all that is free.
  void fill() const {
    const int file = open((disk() / "filler").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    const std::string bytes(1u << 20, 'x');
    std::size_t size = bytes.size();
    while (size > 0) {
      if (write(file, bytes.data(), size) <= 0) size /= 2;
    }
    close(file);
  }
  void make_room() const { fs::remove(disk() / "filler"); }
  Outcome try_to_submit(const std::string& name) {
    std::ofstream(folder / (name + ".yaml")) << kQuick;
    Outcome outcome = paddock({"submit", folder / (name + ".yaml"), "--output", "json"});
    if (outcome.exit_code == 0) accepted.insert(Json::parse(outcome.out).at("graph").get<std::uint64_t>());
    return outcome;
  }
  // It looks at its disk every 100 ms, and may find room that it has made itself, by dropping files of its database: that is
  // filled, too.
  Outcome refused_at_last() {
    for (;;) {
      if (const Outcome outcome = try_to_submit("filling"); outcome.exit_code != 0) return outcome;
      fill();
    }
  }

  std::set<std::uint64_t> accepted;

 private:
  bool is_mounted_ = false;
};

TEST_F(SmallDisk, WhenItIsFullSubmissionsAreRefusedInWordsAndWhatWasAcceptedEndsAllTheSame) {
  start_coordinator("10s", {"--disk-reserve", "16MiB"});
  start_worker("a");
  Fifo said(folder / "said");
  Fifo go(folder / "go");
  std::string yaml = "graph: long\njobs:\n  first: { kind: command, command: [sh, -c, 'echo x > " +
                     said.path.string() + "; read line < " + go.path.string() + "; echo spoken'] }\n";
  for (int i = 0; i < 20; ++i)
    yaml += "  job" + std::to_string(i) + ": { kind: command, needs: [first], command: [\"true\"] }\n";
  const auto running = submit(yaml);
  said.read_line();
  fill();
  const Outcome refused = refused_at_last();
  EXPECT_EQ(refused.exit_code, 1) << refused.out;
  EXPECT_NE(refused.out.find("disk is full"), std::string::npos) << refused.out;
  EXPECT_NE(refused.out.find("exhausted"), std::string::npos) << refused.out;
  go.write_line("go");
  EXPECT_EQ(wait_until_ended(running).at("state"), "succeeded") << "the reserve is there for this";
  EXPECT_EQ(refused_at_last().exit_code, 1);
  kill_now("coordinator");
  start_coordinator("10s", {"--disk-reserve", "16MiB"});
  EXPECT_EQ(graph(running).at("state"), "succeeded");
  EXPECT_EQ(refused_at_last().exit_code, 1);
  make_room();
  while (try_to_submit("again").exit_code != 0) {  // it looks every 100 ms
  }
  for (const std::uint64_t id : accepted) EXPECT_EQ(wait_until_ended(id).at("state"), "succeeded") << id;
}

TEST_F(SmallDisk, WithoutRoomToOpenTheJournalTheCoordinatorSaysSoAndStartsWhenThereIsSome) {
  start_coordinator("10s", {"--disk-reserve", "16MiB"});
  ASSERT_EQ(try_to_submit("kept").exit_code, 0);
  kill_now("coordinator");
  fs::remove(disk() / "reserve");
  fill();
  const Outcome refused =
      run({"coordinator", "--state", disk(), "--store", folder / "store", "--bind", "tcp://127.0.0.1:*",
           "--endpoint-file", folder / "endpoint", "--key", folder / "keys/coordinator.secret", "--allow",
           folder / "allowed-keys", "--disk-reserve", "16MiB"});
  EXPECT_EQ(refused.exit_code, 1) << refused.out;
  EXPECT_NE((refused.out + refused.err).find("too few to open the journal: free some and start again"),
            std::string::npos)
      << refused.out << refused.err;
  make_room();
  start_coordinator("10s", {"--disk-reserve", "16MiB"});
  start_worker("a");
  for (const std::uint64_t id : accepted) EXPECT_EQ(wait_until_ended(id).at("state"), "succeeded") << id;
}

// Each sync of the coordinator takes a third of a second (tests/cluster/slow_sync.cpp), with a heartbeat every half.
class SlowDisk : public RealCluster {};

TEST_F(SlowDisk, ASyncThatTakesLongLosesNoLeaseAndNoWork) {
  start_coordinator("2s", {}, {"LD_PRELOAD=" PADDOCK_SLOW_SYNC});
  start_worker("a");
  start_worker("b");
  const auto id = submit(
      "graph: slow\njobs:\n  first: { kind: command, resources: { nodes: 2 }, command: [\"true\"] }\n"
      "  second: { kind: command, needs: [first], command: [\"true\"] }\n"
      "  third: { kind: command, needs: [second], command: [\"true\"] }\n");
  const Json ended = wait_until_ended(id);
  EXPECT_EQ(ended.at("state"), "succeeded") << ended.dump(1);
  for (const char* name : {"first", "second", "third"})
    EXPECT_EQ(job(ended, name).at("attempts").size(), 1u) << "nothing was lost on the way";
}

}  // namespace
}  // namespace paddock::cluster_test
