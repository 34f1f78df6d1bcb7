#include "worker/rank_process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <string>
#include <vector>

#include "worker/clock.h"

namespace paddock::worker {
namespace {

// All that the child needs, made before it: until exec it runs in the guard's own memory (vfork), where it may
// neither allocate nor return.
struct Plan {
  std::vector<std::string> procs_files;
  std::vector<char*> argv;
  std::vector<char*> environment;
  const char* directory = nullptr;
  const char* log = nullptr;
  std::uint64_t data_bytes_max = 0;
  const RankUser* user = nullptr;  // null: it stays who the guard is
  RankDescriptors descriptors;
  pid_t guard = -1;
  std::int64_t deadline_ms = -1;  // -1: none
};

std::vector<char*> pointers_to(const std::vector<std::string>& words) {
  std::vector<char*> pointers;
  pointers.reserve(words.size() + 1);
  for (const std::string& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

bool is_late(std::int64_t deadline_ms) {
  return deadline_ms >= 0 && boot_now().ms >= deadline_ms;
}

bool take_descriptors(const Plan& plan) {
  const auto [report, nothing] = plan.descriptors;
  const int log = open(plan.log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC,
                       plan.user == nullptr ? 0644 : 0600);  // other tenants are on this machine too
  if (log < 0 || dup2(nothing, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0) return false;
  if (report == kReportDescriptor) return fcntl(report, F_SETFD, 0) == 0;
  return dup2(report, kReportDescriptor) >= 0;
}

// For good: real, effective and saved. System calls alone, as the memory is the guard's.
bool become_user(const RankUser& user) {
  if (syscall(SYS_setgroups, user.groups.size(), user.groups.data()) != 0) return false;
  if (syscall(SYS_setresgid, user.gid, user.gid, user.gid) != 0) return false;
  return syscall(SYS_setresuid, user.uid, user.uid, user.uid) == 0;
}

// False, with errno: it cannot become the command.
bool become_rank(const Plan& plan) {
  setsid();  // a session and process group of its own: signals to the group reach all that did not leave it
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != plan.guard) return false;  // it died before the line above
  for (const std::string& file : plan.procs_files) {
    if (!enter_cgroup(file)) return false;
  }
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  const rlimit data{plan.data_bytes_max, plan.data_bytes_max};
  if (plan.data_bytes_max > 0 && setrlimit(RLIMIT_DATA, &data) != 0) return false;
  if (!take_descriptors(plan)) return false;  // the log is the worker's
  if (plan.user != nullptr) {
    if (!become_user(*plan.user)) return false;
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // becoming another has taken it back
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (getppid() != plan.guard) return false;
  }
  if (chdir(plan.directory) != 0) return false;
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  if (is_late(plan.deadline_ms)) {
    errno = ETIME;
    return false;
  }
  execvp(plan.argv[0], plan.argv.data());
  return false;
}

}  // namespace

bool enter_cgroup(const std::string& procs_file) {
  const int file = open(procs_file.c_str(), O_WRONLY | O_CLOEXEC);
  if (file < 0) return false;
  const bool is_entered = write(file, "0", 1) == 1;
  const int error = errno;
  close(file);
  errno = error;
  return is_entered;
}

StartedRank start_rank(const GuardLaunch& launch, const RankDescriptors& descriptors,
                       std::optional<std::int64_t> deadline_ms) {
  Plan plan;
  if (!launch.is_guard_in_cgroups) {
    for (const std::string& folder : launch.cgroups) plan.procs_files.push_back(folder + "/cgroup.procs");
  }
  plan.argv = pointers_to(launch.command);
  plan.environment = pointers_to(launch.environment);
  plan.directory = launch.directory.c_str();
  plan.log = launch.log.c_str();
  plan.data_bytes_max = launch.data_bytes_max;
  plan.user = launch.user ? &*launch.user : nullptr;
  plan.descriptors = descriptors;
  plan.guard = getpid();
  plan.deadline_ms = deadline_ms.value_or(-1);
  environ = plan.environment.data();  // execvp looks for the command along the rank's own PATH
  volatile int error = 0;             // written by the child, in our memory
  const pid_t pid = vfork();
  if (pid == 0) {
    if (!become_rank(plan)) error = errno;
    _exit(127);
  }
  static char* no_environment[] = {nullptr};
  const int fork_error = errno;
  environ = no_environment;  // the rank's goes with the plan
  return pid < 0 ? StartedRank{-1, fork_error} : StartedRank{pid, error};
}

}  // namespace paddock::worker
