#include "worker/guard.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <optional>
#include <string_view>

#include "worker/descendants.h"

namespace paddock::worker {
namespace {

std::optional<GuardArguments> parse(int argc, char** argv) {
  GuardArguments arguments;
  int at = 1;
  for (; at + 1 < argc && std::string_view(argv[at]) != "--"; at += 2) {
    const std::string_view name = argv[at];
    const char* const value = argv[at + 1];
    if (name == "--control") {
      arguments.control = std::atoi(value);
    } else if (name == "--report") {
      arguments.report = std::atoi(value);
    } else if (name == "--log") {
      arguments.log = value;
    } else if (name == "--directory") {
      arguments.directory = value;
    } else if (name == "--cgroup") {
      arguments.cgroups.emplace_back(value);
    } else if (name == "--data-bytes") {
      arguments.data_bytes_max = std::strtoull(value, nullptr, 10);
    } else {
      return std::nullopt;
    }
  }
  if (at < argc && std::string_view(argv[at]) == "--") {
    arguments.command.assign(argv + at + 1, argv + argc);
  }
  const bool is_whole = arguments.control > 2 && arguments.report > 2 && !arguments.command.empty();
  return is_whole ? std::optional(std::move(arguments)) : std::nullopt;
}

bool write_text(const std::string& path, std::string_view text) {
  const int file = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (file < 0) return false;
  const bool is_written = write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  close(file);
  return is_written;
}

// The rank's side of fork(): becomes the command, or tells the errno on `trouble`.
[[noreturn]] void become_rank(const GuardArguments& arguments, pid_t guard, int trouble) {
  const auto give_up = [trouble] {
    const int code = errno;
    static_cast<void>(!write(trouble, &code, sizeof code));
    _exit(127);
  };
  setsid();  // a session and process group of its own: signals to the group reach all that did not leave it
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != guard) _exit(127);  // it died before the line above
  for (const std::string& folder : arguments.cgroups) {
    if (!write_text(folder + "/cgroup.procs", "0")) give_up();
  }
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  if (arguments.data_bytes_max > 0) {
    const rlimit data{arguments.data_bytes_max, arguments.data_bytes_max};
    if (setrlimit(RLIMIT_DATA, &data) != 0) give_up();
  }
  if (chdir(arguments.directory.c_str()) != 0) give_up();
  const int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
  const int log = open(arguments.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (nothing < 0 || log < 0) give_up();
  if (dup2(nothing, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0) give_up();
  if (arguments.report == kReportDescriptor) {
    fcntl(arguments.report, F_SETFD, 0);
  } else if (dup2(arguments.report, kReportDescriptor) < 0) {
    give_up();
  }
  std::vector<char*> argv;
  for (const std::string& word : arguments.command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  for (int signal_number = 1; signal_number < NSIG; ++signal_number) signal(signal_number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  execvp(argv[0], argv.data());
  give_up();
  _exit(127);
}

class Guard {
 public:
  explicit Guard(GuardArguments arguments) : arguments_(std::move(arguments)) {}
  int run();

 private:
  bool prepare();
  bool start();
  void hear_trouble();
  bool hear_order();    // false: the daemon is gone
  bool hear_signals();  // false: told to end by a signal
  void obey(const GuardOrder& order);
  int ms_to_deadline() const;  // -1: there is none
  bool reap();                 // true: the rank has ended
  void end_everything();
  void remove_cgroups() const;
  void tell(GuardNews::Kind kind, std::int64_t value) const {
    const GuardNews news{kind, value};
    send(arguments_.control, &news, sizeof news, MSG_NOSIGNAL);
  }

  const GuardArguments arguments_;
  int signals_ = -1;
  int trouble_ = -1;  // read end; closes by itself when the rank has become its command
  pid_t rank_ = -1;
  std::optional<int> rank_status_;
  bool has_started_ = false;
  std::optional<std::int64_t> deadline_ms_;
};

bool Guard::prepare() {
  setsid();  // Ctrl-C at a terminal is for the daemon, which then ends ranks with grace
  if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) return false;
  prctl(PR_SET_NAME, "paddock-guard");
  // What another thread of the daemon may have left open across exec is not ours to keep.
  const int low = std::min(arguments_.control, arguments_.report);
  const int high = std::max(arguments_.control, arguments_.report);
  if (low > 3) close_range(3, static_cast<unsigned>(low - 1), 0);
  if (high > low + 1) close_range(static_cast<unsigned>(low + 1), static_cast<unsigned>(high - 1), 0);
  close_range(static_cast<unsigned>(high + 1), ~0u, 0);
  fcntl(arguments_.control, F_SETFD, FD_CLOEXEC);
  fcntl(arguments_.report, F_SETFD, FD_CLOEXEC);
  sigset_t watched;
  sigemptyset(&watched);
  for (const int number : {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT}) sigaddset(&watched, number);
  if (sigprocmask(SIG_SETMASK, &watched, nullptr) != 0) return false;
  signals_ = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
  return signals_ >= 0;
}

bool Guard::start() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return false;
  // Out of the way of the descriptors that the rank will have.
  const int trouble = fcntl(ends[1], F_DUPFD_CLOEXEC, 10);
  close(ends[1]);
  if (trouble < 0) return false;
  const pid_t guard = getpid();
  rank_ = fork();
  if (rank_ == 0) become_rank(arguments_, guard, trouble);
  close(trouble);
  close(arguments_.report);  // so that the daemon sees its end when the last writer below us is gone
  trouble_ = ends[0];
  return rank_ > 0;
}

void Guard::hear_trouble() {
  int code = 0;
  const ssize_t length = read(trouble_, &code, sizeof code);
  close(trouble_);
  trouble_ = -1;
  if (length == sizeof code) {
    tell(GuardNews::Kind::kCouldNotStart, code);
  } else {
    has_started_ = true;
    tell(GuardNews::Kind::kStarted, rank_);
  }
}

int Guard::ms_to_deadline() const {
  if (!deadline_ms_) return -1;
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const std::int64_t left = *deadline_ms_ - (now.tv_sec * 1'000 + now.tv_nsec / 1'000'000);
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 1'000'000));
}

void Guard::obey(const GuardOrder& order) {
  if (order.kind == GuardOrder::Kind::kDeadline) {
    deadline_ms_ = order.deadline_ms;
    return;
  }
  if (order.kind == GuardOrder::Kind::kKill) {
    for (const pid_t pid : descendants_of(getpid())) kill(pid, SIGKILL);
    return;
  }
  if (rank_status_) return;
  // Before the rank has made its group there is only itself.
  if (kill(-rank_, order.signal) != 0) kill(rank_, order.signal);
}

bool Guard::hear_order() {
  GuardOrder order;
  const ssize_t length = recv(arguments_.control, &order, sizeof order, 0);
  if (length < 0 && errno == EINTR) return true;
  if (length != sizeof order) return false;
  obey(order);
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
// shortens what is left, and ECHILD means that nobody is.
void Guard::end_everything() {
  for (const std::string& folder : arguments_.cgroups) write_text(folder + "/cgroup.kill", "1");  // v2 only
  while (true) {
    for (const pid_t pid : descendants_of(getpid())) kill(pid, SIGKILL);
    int status = 0;
    const pid_t pid = waitpid(-1, &status, 0);
    if (pid < 0 && errno == ECHILD) return;
    if (pid == rank_) rank_status_ = status;
  }
}

void Guard::remove_cgroups() const {
  for (const std::string& folder : arguments_.cgroups) rmdir(folder.c_str());
}

int Guard::run() {
  if (!prepare() || !start()) {
    tell(GuardNews::Kind::kCouldNotStart, errno);
    return 1;
  }
  bool is_daemon_there = true;
  while (true) {
    pollfd watched[] = {{signals_, POLLIN, 0}, {arguments_.control, POLLIN, 0}, {trouble_, POLLIN, 0}};
    if (poll(watched, 3, ms_to_deadline()) < 0 && errno != EINTR) break;
    if (watched[2].revents != 0) hear_trouble();
    if (watched[1].revents != 0 && !hear_order()) is_daemon_there = false;
    if (!is_daemon_there || (watched[0].revents != 0 && !hear_signals())) break;
    if (reap() || ms_to_deadline() == 0) break;
  }
  if (trouble_ >= 0 && rank_status_) hear_trouble();
  end_everything();
  if (has_started_) tell(GuardNews::Kind::kEnded, rank_status_.value_or(SIGKILL));
  if (!is_daemon_there) remove_cgroups();
  return 0;
}

}  // namespace

std::vector<std::string> to_argv(const GuardArguments& arguments) {
  std::vector<std::string> argv = {"--control",   std::to_string(arguments.control),
                                   "--report",    std::to_string(arguments.report),
                                   "--log",       arguments.log,
                                   "--directory", arguments.directory};
  for (const std::string& folder : arguments.cgroups) {
    argv.push_back("--cgroup");
    argv.push_back(folder);
  }
  if (arguments.data_bytes_max > 0) {
    argv.push_back("--data-bytes");
    argv.push_back(std::to_string(arguments.data_bytes_max));
  }
  argv.push_back("--");
  argv.insert(argv.end(), arguments.command.begin(), arguments.command.end());
  return argv;
}

int guard_main(int argc, char** argv) {
  auto arguments = parse(argc, argv);
  if (!arguments) {
    std::fputs("paddock guard is started by paddock worker, not by hand\n", stderr);
    return 2;
  }
  return Guard(std::move(*arguments)).run();
}

}  // namespace paddock::worker
