#include "coordinator/daemon.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <ctime>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include "coordinator/access.h"
#include "coordinator/coordinator.h"
#include "coordinator/endpoint_file.h"
#include "coordinator/log_store.h"
#include "coordinator/room.h"
#include "storage/database.h"
#include "wire/socket.h"
#include "wire/systemd_notify.h"

namespace paddock::coordinator {
namespace {

Result<void> check_options(const CoordinatorOptions& options) {
  if (options.state.empty()) return fail(Code::kInvalid, "the coordinator needs a state folder");
  if (options.store.empty())
    return fail(Code::kInvalid, "the coordinator needs the path of the shared store");
  if (options.lease < std::chrono::seconds(1) || options.lease > std::chrono::minutes(10)) {
    return fail(Code::kInvalid, "the lease must be within 1 s and 10 min");
  }
  if (options.lease_margin < Millis(500) || options.lease_margin > std::chrono::minutes(10)) {
    return fail(Code::kInvalid, "the lease margin must be within 500 ms and 10 min");
  }
  if (options.log_bytes_max < (1u << 20) || options.log_bytes_max > (1ull << 40)) {
    return fail(Code::kInvalid, "what is kept of a log must be within 1 MiB and 1 TiB");
  }
  if (options.keep_ended < std::chrono::seconds(1)) {
    return fail(Code::kInvalid, "ended graphs stay in memory for a second at least");
  }
  if (options.keep_archive > Millis(0) && options.keep_archive < options.keep_ended)
    return fail(Code::kInvalid,
                "--keep-archive must be at least --keep-ended, after which graphs come there");
  if (options.snapshot_events == 0) return fail(Code::kInvalid, "a snapshot needs an event before it");
  return {};
}

// SIGTERM and SIGINT (stop) and SIGHUP (read the allow-list again) as something to read. Made before any
// thread, so that all inherit the mask.
class Signals {
 public:
  static Result<Signals> open() {
    sigset_t stops;
    sigemptyset(&stops);
    sigaddset(&stops, SIGTERM);
    sigaddset(&stops, SIGINT);
    sigaddset(&stops, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &stops, nullptr);
    const int fd = ::signalfd(-1, &stops, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0) return fail(Code::kUnavailable, "signalfd: " + std::generic_category().message(errno));
    return Signals(fd);
  }
  Signals(Signals&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Signals& operator=(Signals&&) = delete;
  ~Signals() {
    if (fd_ >= 0) ::close(fd_);
  }
  int fd() const { return fd_; }
  // The signals that came since the last call.
  std::vector<int> take() const {
    std::vector<int> signals;
    signalfd_siginfo info{};
    while (::read(fd_, &info, sizeof info) == sizeof info)
      signals.push_back(static_cast<int>(info.ssi_signo));
    return signals;
  }

 private:
  explicit Signals(int fd) : fd_(fd) {}
  int fd_;
};

Result<wire::Server> open_server(const CoordinatorOptions& options, const Access& access) {
  const std::string wanted = endpoint_of_last_time(options.endpoint_file, options.bind);
  auto server = wire::Server::open(wanted, access.security());
  if (!server && wanted != options.bind) server = wire::Server::open(options.bind, access.security());
  return server;
}

constexpr std::chrono::microseconds kBetweenSyncs{1'000};

// Under load more comes while we wait, and goes with the same sync: a message waits a millisecond at most, and
// the disk is asked a thousand times a second at most. Who is alone does not wait. Only a signal ends it sooner: to wake
// for each message would cost what is to be saved.
void gather(std::chrono::steady_clock::time_point synced, const Signals& signals) {
  const std::chrono::nanoseconds left = synced + kBetweenSyncs - std::chrono::steady_clock::now();
  if (left <= std::chrono::nanoseconds(0)) return;
  pollfd stop{signals.fd(), POLLIN, 0};
  const timespec at_most{0, static_cast<long>(left.count())};
  ::ppoll(&stop, 1, &at_most, nullptr);
}
static_assert(kBetweenSyncs < std::chrono::seconds(1));

// What the daemon has besides the coordinator.
struct Shell {
  const CoordinatorOptions& options;
  const Log& log;
  const Signals& signals;
  Access& access;
  wire::Server& server;
};

Result<void> announce(const Shell& shell) {
  if (!shell.options.endpoint_file.empty()) {
    TRY(write_endpoint(shell.options.endpoint_file, shell.server.endpoint(), shell.access.public_key()),
        "announcing the endpoint");
  }
  shell.log.info("coordinator_ready", {{"endpoint", shell.server.endpoint()}});
  wire::systemd_notify("READY=1");
  return {};
}

Result<void> serve(Coordinator& coordinator, const Shell& shell) {
  bool is_announced = false;
  std::chrono::steady_clock::time_point synced;  // when the last events became durable
  while (true) {
    const std::uint64_t journaled = coordinator.next_sequence();
    TRY(coordinator.take_turn(), "serving");
    if (coordinator.next_sequence() != journaled) synced = std::chrono::steady_clock::now();
    if (!std::exchange(is_announced, true)) TRY(announce(shell), "serving");
    const std::array descriptors{shell.signals.fd(), shell.access.descriptor()};
    const std::size_t watched = shell.access.descriptor() < 0 ? 1 : 2;
    TRY(shell.server.wait(coordinator.time_to_wait(), std::span(descriptors).first(watched)),
        "waiting for messages");
    const std::vector<int> came = shell.signals.take();
    const auto hang_ups = static_cast<std::size_t>(std::ranges::count(came, SIGHUP));
    if (shell.access.refresh(hang_ups > 0)) coordinator.keep_only_the_admitted();
    if (came.size() > hang_ups) break;
    if (!coordinator.has_more()) gather(synced, shell.signals);
  }
  wire::systemd_notify("STOPPING=1");
  TRY(coordinator.stop(), "stopping");
  shell.log.info("coordinator_stopped");
  return {};
}

// What opening the database writes, with its write-ahead log and manifest begun anew.
constexpr std::uint64_t kBytesToOpen = 4u << 20;

}  // namespace

Result<void> run_coordinator(const CoordinatorOptions& options, const Log& log) {
  TRY(check_options(options), "starting the coordinator");
  TRY_ASSIGN(const Signals signals, Signals::open(), "starting the coordinator");
  TRY_ASSIGN(Access access, Access::open(options, log), "starting the coordinator");
  Room room(options.state, options.disk_reserve_bytes,
            log);  // first: to open the database takes room as well
  room.look();
  if (const std::uint64_t free = room.free_bytes(); free < kBytesToOpen)
    return fail(Code::kExhausted, "the disk of " + options.state.string() + " has " + std::to_string(free) +
                                      " bytes free, too few to open the journal: free some and start again; "
                                      "nothing of what was accepted is lost");
  TRY_ASSIGN(storage::Database database, storage::Database::open(options.state / "db"),
             "starting the coordinator");
  if (database.torn_tail()) log.warn("journal_tail_dropped", {{"reason", *database.torn_tail()}});
  TRY_ASSIGN(wire::Server server, open_server(options, access), "starting the coordinator");
  LogStore logs(options.state / "logs", options.log_bytes_max, room);
  const SystemClock clock;
  TRY_ASSIGN(const auto coordinator,
             Coordinator::open(options, {clock, database, server, access, room, logs}, log),
             "starting from " + options.state.string());
  return serve(*coordinator, {options, log, signals, access, server});
}

}  // namespace paddock::coordinator
