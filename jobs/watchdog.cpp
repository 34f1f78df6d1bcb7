#include "jobs/watchdog.h"

#include <dirent.h>
#include <execinfo.h>
#include <semaphore.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <vector>

namespace paddock::jobs {
namespace {

constexpr int kFramesMax = 64;
constexpr int kStackSignal = SIGUSR2;

sem_t written;

// In a signal handler: only what is safe there. backtrace() is, once libgcc is loaded, which write_all_stacks sees to.
void write_own_stack(int) {
  const int saved = errno;
  void* frames[kFramesMax];
  const int count = backtrace(frames, kFramesMax);
  backtrace_symbols_fd(frames, count, STDERR_FILENO);
  sem_post(&written);
  errno = saved;
}

std::vector<pid_t> threads_of_process() {
  std::vector<pid_t> threads;
  DIR* directory = opendir("/proc/self/task");
  if (directory == nullptr) return threads;
  while (const dirent* entry = readdir(directory)) {
    if (entry->d_name[0] != '.')
      threads.push_back(static_cast<pid_t>(std::strtol(entry->d_name, nullptr, 10)));
  }
  closedir(directory);
  return threads;
}

}  // namespace

void write_all_stacks() {
  void* frames[1];
  backtrace(frames, 1);  // loads libgcc here, where that is safe
  sem_init(&written, 0, 0);
  struct sigaction action = {};
  action.sa_handler = write_own_stack;
  action.sa_flags = SA_RESTART;
  sigaction(kStackSignal, &action, nullptr);
  const auto own = static_cast<pid_t>(syscall(SYS_gettid));
  for (const pid_t thread : threads_of_process()) {
    if (thread == own) continue;
    dprintf(STDERR_FILENO, "stack of thread %d:\n", thread);
    if (syscall(SYS_tgkill, getpid(), thread, kStackSignal) != 0) continue;  // it has just ended
    timespec until = {};
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 1;
    while (sem_timedwait(&written, &until) != 0) {
      if (errno == EINTR) continue;
      dprintf(STDERR_FILENO, "  (does not answer)\n");
      break;
    }
  }
}

Watchdog::Watchdog(std::chrono::milliseconds limit, std::function<void(const std::string&)> end)
    : limit_(limit), end_(std::move(end)), since_(std::chrono::steady_clock::now()) {
  if (limit_.count() > 0) thread_ = std::thread([this] { watch(); });
}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Watchdog::enter(const char* phase, std::int64_t step, bool is_waiting) {
  const std::lock_guard lock(mutex_);
  phase_ = phase;
  step_ = step;
  is_waiting_ = is_waiting;
  since_ = std::chrono::steady_clock::now();
}

void Watchdog::watch() {
  std::unique_lock lock(mutex_);
  while (!is_stopping_) {
    const auto allowed = is_waiting_ ? limit_ * 3 / 2 : limit_;
    const auto deadline = since_ + allowed;
    if (std::chrono::steady_clock::now() < deadline) {
      changed_.wait_until(lock, deadline);
      continue;
    }
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(allowed).count();
    const std::string sentence = "step " + std::to_string(step_) + ": " + phase_ + " took more than " +
                                 std::to_string(seconds) + " s: this rank hangs and is ended";
    is_stopping_ = true;
    lock.unlock();
    end_(sentence);
    lock.lock();
  }
}

}  // namespace paddock::jobs
