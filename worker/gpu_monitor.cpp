#include "worker/gpu_monitor.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <limits>
#include <system_error>
#include <utility>

extern char** environ;

namespace paddock::worker {
namespace {

constexpr Millis kSilenceMax = std::chrono::seconds(10);  // ten signs of life missed: the driver hangs
constexpr Millis kPauseFirst = std::chrono::seconds(5);
constexpr Millis kPauseMax = std::chrono::minutes(10);
constexpr std::size_t kLineBytesMax = 4096;

template <typename... Functions>
struct Overloaded : Functions... {
  using Functions::operator()...;
};

Error refused(const char* doing, int number) {
  return Error{Code::kUnavailable, std::string(doing) + ": " + std::generic_category().message(number)};
}

}  // namespace

GpuMonitor::GpuMonitor(GpuMonitor&& other) noexcept
    : command_(other.command_),
      log_(other.log_),
      pid_(std::exchange(other.pid_, -1)),
      given_up_(std::move(other.given_up_)),
      pipe_(std::exchange(other.pipe_, -1)),
      line_(std::move(other.line_)),
      listed_(std::move(other.listed_)),
      is_listed_(other.is_listed_),
      failure_(std::move(other.failure_)),
      faults_(std::move(other.faults_)),
      is_alive_(other.is_alive_),
      signs_of_life_(other.signs_of_life_),
      silent_at_(other.silent_at_),
      start_at_(other.start_at_),
      pause_(other.pause_) {}

GpuMonitor::~GpuMonitor() {
  stop();
  for (const pid_t pid : given_up_) waitpid(pid, nullptr, WNOHANG);
}

Result<void> GpuMonitor::start() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return tl::unexpected(refused("a pipe for GPU health", errno));
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  // In a session of its own: Ctrl-C at a terminal is for the daemon, and a GPU must not look ill for it.
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID);
  std::vector<char*> argv;
  for (const std::string& word : command_) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  const int failed = posix_spawn(&pid_, argv[0], &actions, &attributes, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  close(ends[1]);
  if (failed != 0) {
    close(ends[0]);
    pid_ = -1;
    return tl::unexpected(refused("starting the process that asks for GPU health", failed));
  }
  pipe_ = ends[0];
  line_.clear();
  failure_.clear();
  return {};
}

// A process that hangs in the driver may not even die of SIGKILL: it is not waited for.
void GpuMonitor::stop() {
  if (pipe_ >= 0) close(std::exchange(pipe_, -1));
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  given_up_.insert(std::exchange(pid_, -1));
  is_alive_ = false;
}

std::set<pid_t> GpuMonitor::pids() const {
  std::set<pid_t> pids = given_up_;
  if (pid_ > 0) pids.insert(pid_);
  return pids;
}

// False: it has ended.
bool GpuMonitor::read_lines() {
  char buffer[4096];
  while (true) {
    const ssize_t length = read(pipe_, buffer, sizeof buffer);
    if (length < 0 && errno == EINTR) continue;
    if (length < 0) return errno == EAGAIN;
    if (length == 0) return false;
    line_.append(buffer, static_cast<std::size_t>(length));
    for (std::size_t end = 0; (end = line_.find('\n')) != std::string::npos; line_.erase(0, end + 1)) {
      if (const auto news = parse_gpu_line(std::string_view(line_).substr(0, end))) take(*news);
    }
    if (line_.size() > kLineBytesMax) line_.clear();  // nothing that we wrote
  }
}

Result<std::vector<Gpu>> GpuMonitor::list(Millis patience) {
  if (auto started = start(); !started) return tl::unexpected(started.error());
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + patience;
  bool runs = true;
  while (runs && !is_listed_ && failure_.empty()) {
    const auto left = std::chrono::ceil<Millis>(deadline - Clock::now());
    pollfd item{pipe_, POLLIN, 0};
    if (left <= Millis(0) || (poll(&item, 1, static_cast<int>(left.count())) == 0)) {
      stop();
      return fail(Code::kUnavailable,
                  "the GPUs' driver does not answer (NVML hangs): is a GPU ill, or the driver?");
    }
    runs = read_lines();
  }
  if (!is_listed_) {
    stop();
    return fail(Code::kUnavailable, failure_.empty() ? "the process that asks for the GPUs died" : failure_);
  }
  if (listed_.empty()) stop();  // nothing to watch
  return listed_;
}

void GpuMonitor::condemn(const std::string& uuid, const std::string& reason) {
  const bool is_new = faults_.emplace(uuid, reason).second;
  if (is_new) log_.error("gpu_withdrawn", {{"gpu", uuid}, {"reason", reason}});
}

void GpuMonitor::take(const GpuNews& news) {
  std::visit(
      Overloaded{
          [&](const GpuListed& listed) {
            if (!is_listed_) listed_.push_back(listed.gpu);
          },
          [&](const GpusReady&) { is_listed_ = true; },
          [&](const GpuXid& xid) {
            const XidMeaning meaning = meaning_of_xid(xid.xid);
            if (meaning == XidMeaning::kDevice) return condemn(xid.uuid, describe_xid(xid.xid));
            log_.warn(meaning == XidMeaning::kApplication ? "gpu_application_error" : "gpu_unknown_xid",
                      {{"gpu", xid.uuid}, {"xid", xid.xid}, {"what", describe_xid(xid.xid)}});
          },
          [&](const GpuMemoryError& error) { condemn(error.uuid, "an uncorrectable memory error (ECC)"); },
          [&](const GpuLost& lost) { condemn(lost.uuid, "it does not answer: " + lost.reason); },
          [&](const GpusAlive&) {
            is_alive_ = true;
            ++signs_of_life_;
            pause_ = Millis(0);
            silent_at_.reset();
          },
          [&](const GpusFailed& failed) { failure_ = failed.reason; }},
      news);
}

void GpuMonitor::start_later(Instant now, std::string_view why) {
  stop();
  silent_at_.reset();
  pause_ = pause_ == Millis(0) ? kPauseFirst : std::min(pause_ * 2, kPauseMax);
  start_at_ = now + pause_;
  log_.error("gpu_health_unknown", {{"reason", why}, {"next_try_ms", pause_.count()}});
}

void GpuMonitor::turn(Instant now) {
  std::erase_if(given_up_,
                [](pid_t pid) { return waitpid(pid, nullptr, WNOHANG) != 0; });  // gone, or reaped by others
  if (pipe_ >= 0 && !read_lines())
    return start_later(now, failure_.empty() ? "the process that asks for GPU health ended" : failure_);
  if (pipe_ >= 0 && !silent_at_) silent_at_ = now + kSilenceMax;
  if (pipe_ >= 0 && now >= *silent_at_)
    return start_later(now, "the GPUs' driver does not answer (NVML hangs)");
  if (!start_at_ || now < *start_at_) return;
  start_at_.reset();
  if (auto started = start(); !started) start_later(now, started.error().message);
}

Instant GpuMonitor::next_wake() const {
  if (start_at_) return *start_at_;
  if (silent_at_) return *silent_at_;
  return Instant{pipe_ >= 0 ? 0 : std::numeric_limits<std::int64_t>::max()};
}

}  // namespace paddock::worker
