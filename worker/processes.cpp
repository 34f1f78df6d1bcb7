#include "worker/processes.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <set>
#include <system_error>
#include <utility>

#include "base/check.h"
#include "worker/descendants.h"

namespace paddock::worker {
namespace {

std::string errno_text(int code) {
  return std::generic_category().message(code);
}

std::vector<char*> pointers_to(const std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (const std::string& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// The descriptors of one launch, closed on the way out unless taken.
struct Ends {
  int ours = -1;
  int theirs = -1;
  ~Ends() {
    if (ours >= 0) close(ours);
    if (theirs >= 0) close(theirs);
  }
  int take() { return std::exchange(ours, -1); }
};

}  // namespace

Processes::Processes(std::vector<std::string> guard_command) : guard_command_(std::move(guard_command)) {
  PADDOCK_REQUIRE(!guard_command_.empty());
  prctl(PR_SET_CHILD_SUBREAPER, 1);
}

Processes::~Processes() {
  for (const auto& [key, child] : children_) close(child.control);
}

Result<int> Processes::start(const RankLaunch& launch) {
  PADDOCK_REQUIRE(!launch.command.empty() && !children_.contains(launch.key));
  Ends control;
  Ends report;
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
    return fail(Code::kUnavailable, "a socket for the guard: " + errno_text(errno));
  }
  control.ours = pair[0];
  control.theirs = pair[1];
  if (pipe2(pair, O_CLOEXEC) != 0) return fail(Code::kUnavailable, "a report pipe: " + errno_text(errno));
  report.ours = pair[0];
  report.theirs = pair[1];
  fcntl(report.ours, F_SETFL, O_NONBLOCK);

  GuardArguments arguments{control.theirs, report.theirs,         launch.log,    launch.directory,
                           launch.cgroups, launch.data_bytes_max, launch.command};
  std::vector<std::string> words = guard_command_;
  for (std::string& word : to_argv(arguments)) words.push_back(std::move(word));
  std::vector<std::string> environment = launch.environment;
  environment.push_back("PADDOCK_REPORT_FD=" + std::to_string(kReportDescriptor));
  const std::vector<char*> argv = pointers_to(words);
  const std::vector<char*> envp = pointers_to(environment);

  const pid_t guard = fork();
  if (guard < 0) return fail(Code::kUnavailable, "a guard process: " + errno_text(errno));
  if (guard == 0) {  // only what is safe between fork and exec
    fcntl(control.theirs, F_SETFD, 0);
    fcntl(report.theirs, F_SETFD, 0);
    execve(argv[0], argv.data(), envp.data());
    _exit(127);
  }
  const Child child{guard, control.take(), launch.command[0], false, false, false};
  if (deadline_ms_) tell(child, GuardOrder{GuardOrder::Kind::kDeadline, 0, *deadline_ms_});
  children_[launch.key] = child;
  return report.take();
}

void Processes::terminate(const RankKey& key) {
  const auto at = children_.find(key);
  if (at == children_.end()) return;
  tell(at->second, GuardOrder{GuardOrder::Kind::kSignal, SIGTERM, 0});
}

void Processes::set_deadline(std::int64_t monotonic_ms) {
  deadline_ms_ = monotonic_ms;
  for (const auto& [key, child] : children_)
    tell(child, GuardOrder{GuardOrder::Kind::kDeadline, 0, monotonic_ms});
}

bool Processes::tell(const Child& child, const GuardOrder& order) const {
  return send(child.control, &order, sizeof order, MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof order;
}

void Processes::kill(const RankKey& key) {
  const auto at = children_.find(key);
  if (at == children_.end()) return;
  const bool is_sent = tell(at->second, GuardOrder{GuardOrder::Kind::kKill, 0, 0});
  if (at->second.is_guard_dead) return;
  // A guard that was stopped must hear it; one that cannot hear ends with its rank, and the rest comes to us.
  ::kill(at->second.guard, is_sent ? SIGCONT : SIGKILL);
}

void Processes::hear(const RankKey& key, Child& child, std::vector<ProcessNews>& news) {
  GuardNews heard;
  while (recv(child.control, &heard, sizeof heard, MSG_DONTWAIT) == sizeof heard) {
    switch (heard.kind) {
      case GuardNews::Kind::kStarted:
        child.has_started = true;
        news.push_back({key, ProcessStarted{heard.value}});
        break;
      case GuardNews::Kind::kCouldNotStart:
        child.has_ended = true;
        news.push_back(
            {key, ProcessNotStarted{child.name + ": " + errno_text(static_cast<int>(heard.value))}});
        break;
      case GuardNews::Kind::kEnded:
        child.has_ended = true;
        news.push_back({key, ProcessEnded{static_cast<int>(heard.value)}});
        break;
    }
  }
}

void Processes::reap() {
  for (pid_t pid = 0; (pid = waitpid(-1, nullptr, WNOHANG)) > 0;) {
    for (auto& [key, child] : children_) {
      if (child.guard == pid) child.is_guard_dead = true;
    }
  }
}

bool Processes::end_orphans() {
  std::set<pid_t> guards;
  for (const auto& [key, child] : children_) {
    if (!child.is_guard_dead) guards.insert(child.guard);
  }
  bool are_there = false;
  for (const pid_t pid : children_of(getpid())) {
    if (guards.contains(pid)) continue;
    are_there = true;
    for (const pid_t below : descendants_of(pid)) ::kill(below, SIGKILL);
    ::kill(pid, SIGKILL);  // its death comes as SIGCHLD, and the next collect() looks again
  }
  return !are_there;
}

std::vector<ProcessNews> Processes::collect() {
  std::vector<ProcessNews> news;
  reap();
  for (auto& [key, child] : children_) hear(key, child, news);
  const bool is_guard_lost = std::ranges::any_of(
      children_, [](const auto& entry) { return entry.second.is_guard_dead && !entry.second.has_ended; });
  const bool are_orphans_gone = !is_guard_lost || end_orphans();
  for (auto at = children_.begin(); at != children_.end();) {
    const auto& [key, child] = *at;
    if (!child.is_guard_dead || (!child.has_ended && !are_orphans_gone)) {
      ++at;
      continue;
    }
    if (!child.has_ended && child.has_started) news.push_back({key, ProcessEnded{SIGKILL}});
    if (!child.has_ended && !child.has_started)
      news.push_back({key, ProcessNotStarted{"its guard process died"}});
    close(child.control);
    at = children_.erase(at);
  }
  return news;
}

std::vector<int> Processes::descriptors() const {
  std::vector<int> descriptors;
  for (const auto& [key, child] : children_) {
    // After its last word only the guard's death is awaited, and that comes as SIGCHLD.
    if (!child.has_ended && !child.is_guard_dead) descriptors.push_back(child.control);
  }
  return descriptors;
}

}  // namespace paddock::worker
