#include "worker/guard.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "worker/clock.h"
#include "worker/descendants.h"
#include "worker/rank_process.h"

namespace paddock::worker {
namespace {

bool write_text(const std::string& path, std::string_view text) {
  const int file = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (file < 0) return false;
  const bool is_written = write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  close(file);
  return is_written;
}

std::optional<GuardLaunch> read_launch(int memory_file) {
  struct stat status {};
  if (fstat(memory_file, &status) != 0) return std::nullopt;
  std::string bytes(static_cast<std::size_t>(status.st_size), '\0');
  if (pread(memory_file, bytes.data(), bytes.size(), 0) != status.st_size) return std::nullopt;
  return to_launch(bytes);
}

// An order and what came with it; the descriptors are closed with it.
struct Received {
  GuardOrder order;
  std::string launch;  // of kStart, unless it is in the second descriptor
  std::array<int, 2> descriptors{-1, -1};
  ~Received() {
    for (const int descriptor : descriptors) {
      if (descriptor >= 0) close(descriptor);
    }
  }
};

// False: the daemon is gone.
bool receive(int control, Received& received) {
  static std::array<char, kLaunchBytesInPacket> space_for_launch;
  iovec bytes[] = {{&received.order, sizeof received.order},
                   {space_for_launch.data(), space_for_launch.size()}};
  alignas(cmsghdr) char space[CMSG_SPACE(sizeof received.descriptors)];
  msghdr message{};
  message.msg_iov = bytes;
  message.msg_iovlen = 2;
  message.msg_control = space;
  message.msg_controllen = sizeof space;
  ssize_t length = 0;
  do {
    length = recvmsg(control, &message, MSG_CMSG_CLOEXEC);
  } while (length < 0 && errno == EINTR);
  const cmsghdr* const rights = CMSG_FIRSTHDR(&message);
  if (rights != nullptr && rights->cmsg_type == SCM_RIGHTS) {
    std::memcpy(received.descriptors.data(), CMSG_DATA(rights),
                std::min(sizeof received.descriptors, rights->cmsg_len - CMSG_LEN(0)));
  }
  if (length < static_cast<ssize_t>(sizeof received.order)) return false;
  received.launch.assign(space_for_launch.data(), static_cast<std::size_t>(length) - sizeof received.order);
  return true;
}

class Guard {
 public:
  explicit Guard(int control) : control_(control) {}
  int run();

 private:
  bool prepare();
  void start(const Received& received);
  bool hear_order();    // false: the daemon is gone
  bool hear_signals();  // false: told to end by a signal
  void obey(const Received& received);
  bool move_into(const std::vector<std::string>& cgroups);
  void keep_deadline(std::int64_t deadline_ms);
  int ms_to_deadline() const;  // -1: there is none
  bool reap();                 // true: the rank has ended
  void end_rank();
  void end_everything();
  void tell(GuardNews::Kind kind, std::int64_t value) const {
    const GuardNews news{kind, value};
    send(control_, &news, sizeof news, MSG_NOSIGNAL);
  }

  const int control_;
  int signals_ = -1;
  int nothing_ = -1;  // /dev/null, the ranks' standard input
  bool is_daemon_there_ = true;
  pid_t rank_ = -1;                   // -1: waits for one
  std::vector<std::string> cgroups_;  // of the rank alone
  std::vector<std::string> home_;     // where the guard is itself; the daemon, or the next one, removes them
  std::optional<int> rank_status_;
  std::optional<std::int64_t> deadline_ms_;
  std::optional<BootTimer> deadline_;
};

bool Guard::prepare() {
  setsid();  // Ctrl-C at a terminal is for the daemon, which then ends ranks with grace
  if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) return false;
  prctl(PR_SET_NAME, "paddock-guard");
  // What another thread of the daemon may have left open across exec is not ours to keep.
  if (control_ > 3) close_range(3, static_cast<unsigned>(control_ - 1), 0);
  close_range(static_cast<unsigned>(control_ + 1), ~0u, 0);
  deadline_.emplace();
  fcntl(control_, F_SETFD, FD_CLOEXEC);
  for (int number = 1; number < NSIG; ++number) signal(number, SIG_DFL);  // as the ranks shall find them
  sigset_t watched;
  sigemptyset(&watched);
  for (const int number : {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT}) sigaddset(&watched, number);
  if (sigprocmask(SIG_SETMASK, &watched, nullptr) != 0) return false;
  signals_ = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
  nothing_ = open("/dev/null", O_RDONLY | O_CLOEXEC);
  return signals_ >= 0 && nothing_ >= 0;
}

void Guard::start(const Received& received) {
  const int report = received.descriptors[0];
  const int memory_file = received.descriptors[1];
  auto launch = memory_file < 0 ? to_launch(received.launch) : read_launch(memory_file);
  if (!launch || report < 0 || rank_ > 0) return tell(GuardNews::Kind::kCouldNotStart, EINVAL);
  if (launch->is_guard_in_cgroups && !move_into(launch->cgroups))
    return tell(GuardNews::Kind::kCouldNotStart, errno);
  const StartedRank started = start_rank(*launch, {report, nothing_}, deadline_ms_);
  if (started.error != 0) {
    if (started.pid > 0) waitpid(started.pid, nullptr, 0);
    return tell(GuardNews::Kind::kCouldNotStart, started.error);
  }
  rank_ = started.pid;
  if (!launch->is_guard_in_cgroups) cgroups_ = std::move(launch->cgroups);
  tell(GuardNews::Kind::kStarted, rank_);
}

// False, with errno: it is not let in, and is perhaps in some of them.
bool Guard::move_into(const std::vector<std::string>& cgroups) {
  if (home_ == cgroups) return true;
  home_.clear();
  for (const std::string& folder : cgroups) {
    if (!enter_cgroup(folder + "/cgroup.procs")) return false;
  }
  home_ = cgroups;
  return true;
}

void Guard::keep_deadline(std::int64_t deadline_ms) {
  deadline_ms_ = deadline_ms;
  deadline_->set(Instant{deadline_ms});
}

int Guard::ms_to_deadline() const {
  if (!deadline_ms_) return -1;
  const std::int64_t left = *deadline_ms_ - boot_now().ms;
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 1'000'000));
}

void Guard::obey(const Received& received) {
  const GuardOrder& order = received.order;
  switch (order.kind) {
    case GuardOrder::Kind::kStart:
      if (order.deadline_ms != 0) keep_deadline(order.deadline_ms);
      return start(received);
    case GuardOrder::Kind::kDeadline:
      return keep_deadline(order.deadline_ms);
    case GuardOrder::Kind::kKill:
      for (const pid_t pid : descendants_of(getpid())) kill(pid, SIGKILL);
      return;
    case GuardOrder::Kind::kSignal:
      if (rank_ < 0 || rank_status_) return;
      // A rank that made itself a group of another name is still reached itself.
      if (kill(-rank_, order.signal) != 0) kill(rank_, order.signal);
      return;
  }
}

bool Guard::hear_order() {
  Received received;
  if (!receive(control_, received)) return false;
  obey(received);
  return true;
}

bool Guard::hear_signals() {
  signalfd_siginfo info{};
  while (read(signals_, &info, sizeof info) == sizeof info) {
    if (info.ssi_signo != SIGCHLD) return false;
  }
  return true;
}

bool Guard::reap() {
  int status = 0;
  for (pid_t pid = 0; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    if (pid == rank_) rank_status_ = status;
  }
  return rank_status_.has_value();
}

// Every process that is not in a list has a parent in it, whose death makes it our child; so each round
// shortens what is left, and ECHILD means that nobody is. Most ranks leave nobody: then no list is made.
void Guard::end_everything() {
  int status = 0;
  const auto nobody_is_left = [&] {
    pid_t pid = 0;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
      if (pid == rank_) rank_status_ = status;
    }
    return pid < 0 && errno == ECHILD;
  };
  if (nobody_is_left()) return;
  for (const std::string& folder : cgroups_) write_text(folder + "/cgroup.kill", "1");  // v2 only
  while (!nobody_is_left()) {
    for (const pid_t pid : descendants_of(getpid())) kill(pid, SIGKILL);
    const pid_t pid = waitpid(-1, &status, 0);
    if (pid == rank_) rank_status_ = status;
  }
}

void Guard::end_rank() {
  end_everything();
  if (!is_daemon_there_) {
    for (const std::string& folder : cgroups_) rmdir(folder.c_str());
  }
  const int status = rank_status_.value_or(SIGKILL);
  rank_ = -1;
  rank_status_.reset();
  cgroups_.clear();
  tell(GuardNews::Kind::kEnded, status);
}

int Guard::run() {
  if (!prepare()) return 1;
  for (bool goes_on = true; goes_on;) {
    pollfd watched[] = {
        {signals_, POLLIN, 0}, {control_, POLLIN, 0}, {rank_ > 0 ? deadline_->descriptor() : -1, POLLIN, 0}};
    if (poll(watched, 3, rank_ > 0 ? ms_to_deadline() : -1) < 0 && errno != EINTR) goes_on = false;
    if (goes_on && watched[1].revents != 0 && !hear_order()) goes_on = is_daemon_there_ = false;
    if (goes_on && watched[0].revents != 0 && !hear_signals()) goes_on = false;
    if (rank_ > 0 && (!goes_on || reap() || ms_to_deadline() == 0)) end_rank();
  }
  return 0;
}

}  // namespace

int guard_main(int argc, char** argv) {
  const int control = argc == 2 ? std::atoi(argv[1]) : -1;
  if (control <= 2) {
    std::fputs("paddock guard is started by paddock worker, not by hand\n", stderr);
    return 2;
  }
  return Guard(control).run();
}

}  // namespace paddock::worker
