#include "cli/children.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>

namespace paddock::cli {
namespace {

tl::unexpected<Error> system_error(std::string_view what) {
  return fail(Code::kUnavailable, std::string(what) + ": " + std::strerror(errno));
}

// A datagram socket under an abstract name, which needs no file and goes with the process.
Result<int> open_notify_socket(const std::string& name) {
  const int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) return system_error("opening a notify socket");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + 1, name.data() + 1, name.size() - 1);  // "@name": the @ stands for a NUL
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  if (bind(descriptor, reinterpret_cast<const sockaddr*>(&address), length) != 0) {
    const auto error = system_error("binding a notify socket");
    close(descriptor);
    return error;
  }
  return descriptor;
}

std::string how_it_ended(int status) {
  if (WIFSIGNALED(status)) return "killed by signal " + std::to_string(WTERMSIG(status));
  return "exited " + std::to_string(WEXITSTATUS(status));
}

// In the child, between fork and exec.
[[noreturn]] void become(const std::vector<std::string>& argv, const std::string& notify, pid_t parent,
                         bool dies_with_us) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  setpgid(0, 0);
  if (dies_with_us) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);  // it ended before prctl
  }
  const int nothing = ::open("/dev/null", O_RDONLY);
  if (nothing >= 0) dup2(nothing, STDIN_FILENO);
  setenv("NOTIFY_SOCKET", notify.c_str(), 1);
  std::vector<char*> arguments;
  for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  execv(arguments.front(), arguments.data());
  _exit(127);
}

}  // namespace

Result<Children> Children::open() {
  sigset_t watched;
  sigemptyset(&watched);
  for (const int signal : {SIGTERM, SIGINT, SIGCHLD}) sigaddset(&watched, signal);
  if (sigprocmask(SIG_BLOCK, &watched, nullptr) != 0) return system_error("blocking signals");
  const int signals = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals < 0) return system_error("opening a signal descriptor");
  return Children(signals);
}

Children::Children(Children&& other) noexcept
    : signals_(std::exchange(other.signals_, -1)),
      children_(std::move(other.children_)),
      events_(std::move(other.events_)) {
  other.children_.clear();
}

Children::~Children() {
  if (signals_ >= 0) close(signals_);
  for (const Child& child : children_) close(child.notify);
}

Result<void> Children::start(const std::string& name, const std::vector<std::string>& argv,
                             bool dies_with_us) {
  const pid_t parent = getpid();
  const std::string notify_name = "@paddock-dev-" + std::to_string(parent) + "-" + name;
  TRY_ASSIGN(const int notify, open_notify_socket(notify_name), "starting " + name);
  const pid_t pid = fork();
  if (pid < 0) {
    const auto error = system_error("starting " + name);
    close(notify);
    return error;
  }
  if (pid == 0) become(argv, notify_name, parent, dies_with_us);
  children_.push_back({name, pid, notify});
  return {};
}

Result<Children::Event> Children::wait() {
  while (events_.empty()) {
    std::vector<pollfd> watched = {{signals_, POLLIN, 0}};
    for (const Child& child : children_) watched.push_back({child.notify, POLLIN, 0});
    if (poll(watched.data(), watched.size(), -1) < 0 && errno != EINTR)
      return system_error("waiting for the processes");
    for (std::size_t i = 0; i < children_.size(); ++i) {
      if ((watched[i + 1].revents & POLLIN) != 0) read_notices(children_[i]);
    }
    if ((watched.front().revents & POLLIN) != 0) read_signals();
  }
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

void Children::read_signals() {
  signalfd_siginfo info{};
  while (read(signals_, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    if (info.ssi_signo != SIGCHLD) events_.emplace_back(Signalled{static_cast<int>(info.ssi_signo)});
  }
  for (Child& child : children_) {  // one SIGCHLD may stand for several ends
    int status = 0;
    if (child.has_ended || waitpid(child.pid, &status, WNOHANG) != child.pid) continue;
    child.has_ended = true;
    events_.emplace_back(Ended{child.name, how_it_ended(status)});
  }
}

void Children::read_notices(Child& child) {
  std::array<char, 4096> text{};
  while (true) {
    const ssize_t length = recv(child.notify, text.data(), text.size(), 0);
    if (length < 0) return;
    const std::string_view notice(text.data(), static_cast<std::size_t>(length));
    if (child.is_ready || notice.find("READY=1") == std::string_view::npos) continue;
    child.is_ready = true;
    events_.emplace_back(BecameReady{child.name});
  }
}

void Children::signal(const std::string& name, int signal) const {
  if (runs(name)) kill(pid_of(name), signal);
}

bool Children::runs(const std::string& name) const {
  for (const Child& child : children_) {
    if (child.name == name) return !child.has_ended;
  }
  return false;
}

bool Children::any_runs() const {
  for (const Child& child : children_) {
    if (!child.has_ended) return true;
  }
  return false;
}

pid_t Children::pid_of(const std::string& name) const {
  for (const Child& child : children_) {
    if (child.name == name) return child.pid;
  }
  return 0;
}

}  // namespace paddock::cli
