#include "worker/processes.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <iterator>
#include <set>
#include <system_error>
#include <utility>

#include "base/check.h"
#include "base/limits.h"
#include "worker/descendants.h"
#include "worker/rank_process.h"

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
  for (const auto& [key, child] : children_) close(child.guard.control);
  for (const Guard& guard : idle_) close(guard.control);
}

Result<Processes::Guard> Processes::new_guard() const {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
    return fail(Code::kUnavailable, "a socket for the guard: " + errno_text(errno));
  }
  Ends control{pair[0], pair[1]};
  std::vector<std::string> words = guard_command_;
  words.push_back(std::to_string(control.theirs));
  const std::vector<char*> argv = pointers_to(words);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, control.theirs, control.theirs);  // which lets it pass exec
  pid_t pid = -1;
  const int error = posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return fail(Code::kUnavailable, "a guard process: " + errno_text(error));
  return Guard{pid, control.take()};
}

// One that is where the rank shall be, if there is one.
Result<Processes::Guard> Processes::take_guard(const GuardLaunch& launch) {
  reap();
  std::erase_if(idle_, [](const Guard& guard) {
    if (guard.is_dead) close(guard.control);
    return guard.is_dead;
  });
  if (idle_.empty()) return new_guard();
  auto chosen = std::prev(idle_.end());
  if (launch.is_guard_in_cgroups) {
    const auto at_home = std::ranges::find(idle_, launch.cgroups, &Guard::home);
    if (at_home != idle_.end()) chosen = at_home;
  }
  Guard guard = std::move(*chosen);
  idle_.erase(chosen);
  return guard;
}

void Processes::end_idle_guards() {
  for (const Guard& guard : idle_) {
    close(guard.control);
    if (guard.is_dead) continue;
    ::kill(guard.pid, SIGKILL);  // also one that was stopped; it has nothing to clear up
    waitpid(guard.pid, nullptr, 0);
  }
  idle_.clear();
}

void Processes::give_back(const Guard& guard) {
  if (!guard.is_dead && idle_.size() < limits::kIdleGuardsMax) {
    idle_.push_back(guard);
  } else {
    close(guard.control);  // it sees that and ends
  }
}

Result<int> Processes::start(const RankKey& key, GuardLaunch launch) {
  PADDOCK_REQUIRE(!launch.command.empty() && !children_.contains(key));
  int pair[2];
  if (pipe2(pair, O_CLOEXEC) != 0) return fail(Code::kUnavailable, "a report pipe: " + errno_text(errno));
  Ends report{pair[0], pair[1]};
  fcntl(report.ours, F_SETFL, O_NONBLOCK);
  launch.environment.push_back("PADDOCK_REPORT_FD=" + std::to_string(kReportDescriptor));
  TRY_ASSIGN(Guard guard, take_guard(launch), "starting " + launch.command[0]);
  // A guard that cannot take it has died, which is told as the rank's own end.
  tell_start(guard, to_bytes(launch), report.theirs);
  if (launch.is_guard_in_cgroups) guard.home = std::move(launch.cgroups);
  children_[key] = Child{std::move(guard), launch.command[0], false, false};
  return report.take();
}

void Processes::terminate(const RankKey& key) {
  const auto at = children_.find(key);
  if (at == children_.end()) return;
  tell(at->second.guard, GuardOrder{GuardOrder::Kind::kSignal, SIGTERM, 0});
}

void Processes::set_deadline(std::int64_t boot_ms) {
  deadline_ms_ = boot_ms;
  for (const auto& [key, child] : children_)
    tell(child.guard, GuardOrder{GuardOrder::Kind::kDeadline, 0, boot_ms});
}

bool Processes::tell(const Guard& guard, const GuardOrder& order) const {
  return send(guard.control, &order, sizeof order, MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof order;
}

// False: it cannot be told, or there is no memory for it; then it is as if the guard had died.
bool Processes::tell_start(const Guard& guard, std::string_view launch, int report) const {
  int descriptors[] = {report, -1};
  std::size_t count = 1;
  const Ends memory_file{launch.size() > kLaunchBytesInPacket ? memfd_create("launch", MFD_CLOEXEC) : -1, -1};
  if (launch.size() > kLaunchBytesInPacket) {
    const auto length = static_cast<ssize_t>(launch.size());
    if (memory_file.ours < 0 || write(memory_file.ours, launch.data(), launch.size()) != length) {
      shutdown(guard.control, SHUT_RDWR);
      return false;
    }
    descriptors[count++] = memory_file.ours;
    launch = {};
  }
  GuardOrder order{GuardOrder::Kind::kStart, 0, deadline_ms_.value_or(0)};
  alignas(cmsghdr) char space[CMSG_SPACE(sizeof descriptors)] = {};
  iovec bytes[] = {{&order, sizeof order}, {const_cast<char*>(launch.data()), launch.size()}};
  msghdr message{};
  message.msg_iov = bytes;
  message.msg_iovlen = 2;
  message.msg_control = space;
  message.msg_controllen = CMSG_SPACE(count * sizeof(int));
  cmsghdr* const rights = CMSG_FIRSTHDR(&message);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(count * sizeof(int));
  std::memcpy(CMSG_DATA(rights), descriptors, count * sizeof(int));
  const bool is_sent = sendmsg(guard.control, &message, MSG_NOSIGNAL | MSG_DONTWAIT) ==
                       static_cast<ssize_t>(sizeof order + launch.size());
  if (!is_sent) shutdown(guard.control, SHUT_RDWR);  // else it would wait for ever
  return is_sent;
}

void Processes::kill(const RankKey& key) {
  const auto at = children_.find(key);
  if (at == children_.end()) return;
  const Guard& guard = at->second.guard;
  const bool is_sent = tell(guard, GuardOrder{GuardOrder::Kind::kKill, 0, 0});
  if (guard.is_dead) return;
  // A guard that was stopped must hear it; one that cannot hear ends with its rank, and the rest comes to us.
  ::kill(guard.pid, is_sent ? SIGCONT : SIGKILL);
}

void Processes::hear(const RankKey& key, Child& child, std::vector<ProcessNews>& news) {
  GuardNews heard;
  while (!child.has_ended && recv(child.guard.control, &heard, sizeof heard, MSG_DONTWAIT) == sizeof heard) {
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
      if (child.guard.pid == pid) child.guard.is_dead = true;
    }
    for (Guard& guard : idle_) {
      if (guard.pid == pid) guard.is_dead = true;
    }
  }
}

bool Processes::end_orphans(const std::set<pid_t>& helpers) {
  std::set<pid_t> guards;
  for (const auto& [key, child] : children_) {
    if (!child.guard.is_dead) guards.insert(child.guard.pid);
  }
  for (const Guard& guard : idle_) guards.insert(guard.pid);
  bool are_there = false;
  for (const pid_t pid : children_of(getpid())) {
    if (guards.contains(pid) || helpers.contains(pid)) continue;
    are_there = true;
    for (const pid_t below : descendants_of(pid)) ::kill(below, SIGKILL);
    ::kill(pid, SIGKILL);  // its death comes as SIGCHLD, and the next collect() looks again
  }
  return !are_there;
}

std::vector<ProcessNews> Processes::collect(const std::set<int>& readable, const std::set<pid_t>& helpers) {
  std::vector<ProcessNews> news;
  reap();
  for (auto& [key, child] : children_) {
    if (child.guard.is_dead || readable.contains(child.guard.control)) hear(key, child, news);
  }
  const bool is_guard_lost = std::ranges::any_of(
      children_, [](const auto& entry) { return entry.second.guard.is_dead && !entry.second.has_ended; });
  const bool are_orphans_gone = !is_guard_lost || end_orphans(helpers);
  for (auto at = children_.begin(); at != children_.end();) {
    const auto& [key, child] = *at;
    const bool is_lost = child.guard.is_dead && !child.has_ended;
    if (!child.has_ended && !(is_lost && are_orphans_gone)) {
      ++at;
      continue;
    }
    if (is_lost && child.has_started) news.push_back({key, ProcessEnded{SIGKILL}});
    if (is_lost && !child.has_started) news.push_back({key, ProcessNotStarted{"its guard process died"}});
    give_back(child.guard);
    at = children_.erase(at);
  }
  return news;
}

std::vector<int> Processes::descriptors() const {
  std::vector<int> descriptors;
  for (const auto& [key, child] : children_) {
    // Only the death of all that a lost guard left is awaited, and that comes as SIGCHLD.
    if (!child.guard.is_dead) descriptors.push_back(child.guard.control);
  }
  return descriptors;
}

}  // namespace paddock::worker
