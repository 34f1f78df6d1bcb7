// tests/jobs/attempt.h – real ranks of the program paddock-run over Gloo on the loopback, and what a run leaves behind.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <utility>
#include <vector>

#include "outcome.h"
#include "tiny_run.h"

namespace paddock::jobs {

inline int free_port() {
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

// The ranks of one attempt, their report lines read from one pipe.
class Attempt {
 public:
  // `environment`: variables beside those of docs/rank-protocol.md.
  Attempt(const std::string& kind, const fs::path& spec, const fs::path& dir, int world,
          const std::vector<std::pair<std::string, std::string>>& environment = {}) {
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
        ::dup2(ends[1], 200);
        ::setenv("PADDOCK_REPORT_FD", "200", 1);
        for (const auto& [name, value] : environment) ::setenv(name.c_str(), value.c_str(), 1);
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

// A spec, and where its runs go.
class RunsTest : public testing::Test {
 protected:
  void write_spec(std::int64_t steps, const char* centering = "sinkhorn_knopp",
                  std::int64_t checkpoint_every = 2, std::int64_t hang_seconds = 600,
                  std::int64_t unsaved_seconds = 3'600) {
    auto options = tiny_options(dataset());
    options["run"]["checkpoint_every"] = checkpoint_every;
    options["run"]["knn_every"] = 5;
    options["run"]["hang_seconds"] = hang_seconds;
    options["run"]["unsaved_seconds"] = unsaved_seconds;
    options["schedule"]["steps"] = steps;
    options["loss"]["centering"] = centering;
    std::ofstream(spec_) << options.dump();
  }

  fs::path dataset() const {
    const auto dir = folder_.path() / "dataset";
    return fs::exists(dir) ? dir : write_dataset(dir, true);
  }

  TemporaryFolder folder_;
  const fs::path spec_ = folder_.path() / "spec.json";
};

}  // namespace paddock::jobs
