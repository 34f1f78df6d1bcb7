// tests/coordinator/coordinator_process.h – a real coordinator in a process of its own, so that it can be
// killed. The process is this test's own program, started as `coordinator_process_test serve STATE STORE
// LEASE_MS ENDED_JOBS_MAX SNAPSHOT_EVENTS DISK_RESERVE_BYTES`.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <string>

#include "tests/temporary_folder.h"

extern char** environ;

namespace paddock::coordinator {

inline constexpr const char* kKillAtSync = "kill-at-sync";  // a file in the state folder

class CoordinatorProcess {
 public:
  // Of the next start.
  std::uint64_t ended_jobs_max = 20'000;
  std::uint64_t snapshot_events = 100'000;
  std::uint64_t disk_reserve_bytes = 0;

  explicit CoordinatorProcess(int lease_ms = 15'000) : lease_ms_(lease_ms) {
    notify_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = (folder_.path() / "notify").string();
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    EXPECT_EQ(::bind(notify_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
  }
  CoordinatorProcess(const CoordinatorProcess&) = delete;
  CoordinatorProcess& operator=(const CoordinatorProcess&) = delete;
  ~CoordinatorProcess() {
    if (pid_ > 0) kill();
    ::close(notify_);
  }

  // Returns when it says that it takes requests.
  void start() {
    const std::string state = (folder_.path() / "state").string();
    const std::string store = (folder_.path() / "store").string();
    const std::string lease = std::to_string(lease_ms_);
    const std::string jobs = std::to_string(ended_jobs_max);
    const std::string events = std::to_string(snapshot_events);
    const std::string reserve = std::to_string(disk_reserve_bytes);
    const char* const arguments[] = {"coordinator_process_test",
                                     "serve",
                                     state.c_str(),
                                     store.c_str(),
                                     lease.c_str(),
                                     jobs.c_str(),
                                     events.c_str(),
                                     reserve.c_str(),
                                     nullptr};
    ASSERT_EQ(
        ::posix_spawn(&pid_, "/proc/self/exe", nullptr, nullptr, const_cast<char**>(arguments), environ), 0);
    pollfd ready{notify_, POLLIN, 0};
    ASSERT_EQ(::poll(&ready, 1, 60'000), 1) << "the coordinator did not get ready";
    char text[64] = {};
    ASSERT_GT(::recv(notify_, text, sizeof(text) - 1, 0), 0);
    ASSERT_EQ(std::string(text), "READY=1");
  }
  void kill() {
    ::kill(pid_, SIGKILL);
    wait();
  }
  // It is killed when it has synced so many times more, before it tells anyone.
  void kill_at_sync(int count) const { std::ofstream(folder_.path() / "state" / kKillAtSync) << count; }
  void wait_for_its_death() {
    EXPECT_EQ(wait(), -SIGKILL);
    std::filesystem::remove(folder_.path() / "state" / kKillAtSync);
  }
  // Its exit code after SIGTERM.
  int stop() {
    ::kill(pid_, SIGTERM);
    return wait();
  }

  std::string endpoint() const {
    std::ifstream in(folder_.path() / "state" / "endpoint");
    std::string text;
    std::getline(in, text);
    return text;
  }
  pid_t pid() const { return pid_; }
  const std::filesystem::path& folder() const { return folder_.path(); }

 private:
  int wait() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

  TemporaryFolder folder_;
  int lease_ms_;
  int notify_ = -1;
  pid_t pid_ = -1;
};

}  // namespace paddock::coordinator
