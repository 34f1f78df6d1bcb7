// The program itself: real ranks over Gloo on the loopback, killed with SIGKILL, asked with SIGTERM, and started again.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <vector>

#include "storage/checkpoint.h"
#include "tiny_run.h"

namespace paddock::jobs {
namespace {

int free_port() {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  ::bind(descriptor, reinterpret_cast<sockaddr*>(&address), size);
  ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size);
  ::close(descriptor);
  return ntohs(address.sin_port);
}

// The ranks of one attempt, rank 0's report lines read from a pipe.
class Attempt {
 public:
  Attempt(const std::string& kind, const fs::path& spec, const fs::path& dir, int world) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
    const std::string port = std::to_string(free_port());
    for (int rank = 0; rank < world; ++rank) {
      const pid_t child = ::fork();
      if (child == 0) {
        ::setenv("RANK", std::to_string(rank).c_str(), 1);
        ::setenv("WORLD_SIZE", std::to_string(world).c_str(), 1);
        ::setenv("MASTER_ADDR", "127.0.0.1", 1);
        ::setenv("MASTER_PORT", port.c_str(), 1);
        ::setenv("OMP_NUM_THREADS", "1", 1);
        if (rank == 0) {
          ::dup2(ends[1], 200);
          ::setenv("PADDOCK_REPORT_FD", "200", 1);
        }
        const std::string program = PADDOCK_BIN_DIR "/paddock-run";
        ::execl(program.c_str(), program.c_str(), kind.c_str(), "--spec", spec.c_str(), "--dir", dir.c_str(),
                nullptr);
        ::_exit(127);
      }
      children_.push_back(child);
    }
    ::close(ends[1]);
    reports_ = ::fdopen(ends[0], "r");
  }
  ~Attempt() {
    signal_all(SIGKILL);
    wait();
    std::fclose(reports_);
  }

  // Reads report lines until `count` of them hold `word`; false when the rank ended before.
  bool wait_for(const std::string& word, int count) {
    char line[70'000];
    while (count > 0 && std::fgets(line, sizeof(line), reports_) != nullptr) {
      if (std::string(line).find(word) != std::string::npos) --count;
    }
    return count == 0;
  }
  void signal(std::size_t rank, int number) { ::kill(children_[rank], number); }
  void signal_all(int number) {
    for (const pid_t child : children_) {
      if (child > 0) ::kill(child, number);
    }
  }
  // Exit codes, −signal for a killed rank.
  std::vector<int> wait() {
    for (pid_t& child : children_) {
      if (child <= 0) continue;
      int status = 0;
      ::waitpid(child, &status, 0);
      codes_.push_back(WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
      child = -1;
    }
    return codes_;
  }

 private:
  std::vector<pid_t> children_;
  std::vector<int> codes_;
  FILE* reports_ = nullptr;
};

std::string outcome(const fs::path& dir) {
  storage::RealDisk disk;
  const auto checkpoint =
      value_or_throw(storage::load_newest_checkpoint(disk, dir, [](const fs::path&, const Error&) {}),
                     "reading the outcome");
  std::string all = std::to_string(checkpoint.info().step);
  for (const auto& tensor : checkpoint.tensors())
    all += tensor.name + std::string(storage::text_of(tensor.bytes));
  return all + text_of_file(dir / "metrics.jsonl") + text_of_file(dir / "heldout.jsonl");
}

class RanksTest : public testing::TestWithParam<int> {
 protected:
  void write_spec(std::int64_t steps) {
    auto options = tiny_options(write_dataset(folder_.path() / "dataset"));
    options["run"]["checkpoint_every"] = 2;
    options["schedule"]["steps"] = steps;
    options["loss"]["centering"] = "sinkhorn_knopp";
    std::ofstream(spec_) << options.dump();
  }
  std::vector<int> finish(const fs::path& dir) { return Attempt("pretrain", spec_, dir, GetParam()).wait(); }

  TemporaryFolder folder_;
  const fs::path spec_ = folder_.path() / "spec.json";
};

TEST_P(RanksTest, KilledBetweenCheckpointsAndStartedAgainEndInTheSameBits) {
  write_spec(12);
  const std::vector<int> all_done(static_cast<std::size_t>(GetParam()), 0);
  const auto undisturbed = folder_.path() / "undisturbed", dir = folder_.path() / "killed";
  ASSERT_EQ(finish(undisturbed), all_done);
  for (const int checkpoints : {1, 2, 1}) {
    Attempt attempt("pretrain", spec_, dir, GetParam());
    EXPECT_TRUE(attempt.wait_for("checkpoint", checkpoints));
    attempt.signal_all(SIGKILL);
  }
  ASSERT_EQ(finish(dir), all_done);
  EXPECT_TRUE(outcome(dir) == outcome(undisturbed));
}

TEST_P(RanksTest, AskedToStopSaveTheirStepAndEndWith75) {
  write_spec(100'000);  // long enough to be asked in time
  const auto dir = folder_.path() / "stopped";
  Attempt attempt("pretrain", spec_, dir, GetParam());
  EXPECT_TRUE(attempt.wait_for("progress", 1));
  attempt.signal_all(SIGTERM);
  EXPECT_EQ(attempt.wait(), std::vector<int>(static_cast<std::size_t>(GetParam()), 75));
  const std::string step = outcome(dir).substr(0, outcome(dir).find_first_not_of("0123456789"));
  const std::string metrics = text_of_file(dir / "metrics.jsonl");
  EXPECT_NE(metrics.substr(metrics.rfind('{')).find("\"step\":" + step + ","), std::string::npos);
}

class SeveralRanksTest : public RanksTest {};

TEST_P(SeveralRanksTest, LoseOneAndTheOthersFailInsteadOfWaiting) {
  write_spec(100'000);
  Attempt attempt("pretrain", spec_, folder_.path() / "lost", GetParam());
  EXPECT_TRUE(attempt.wait_for("progress", 1));
  attempt.signal(1, SIGKILL);
  EXPECT_EQ(attempt.wait(), (std::vector<int>{1, -SIGKILL}));
}

INSTANTIATE_TEST_SUITE_P(Ranks, RanksTest, testing::Values(1, 2));
INSTANTIATE_TEST_SUITE_P(Ranks, SeveralRanksTest, testing::Values(2));

TEST(PaddockRun, EndsWith2ForWrongOptionsAndSaysWhichAndWhy) {
  TemporaryFolder folder;
  const auto spec = folder.path() / "spec.json";
  auto options = tiny_options("/nowhere");
  options["backbone"]["deptth"] = 3;
  std::ofstream(spec) << options.dump();
  Attempt attempt("pretrain", spec, folder.path() / "run", 1);
  EXPECT_TRUE(attempt.wait_for("backbone.deptth", 1));
  EXPECT_EQ(attempt.wait(), std::vector<int>{2});
}

}  // namespace
}  // namespace paddock::jobs
