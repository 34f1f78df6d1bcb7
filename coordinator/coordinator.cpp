#include "coordinator/coordinator.h"

#include <malloc.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <deque>
#include <span>
#include <system_error>
#include <thread>
#include <utility>

#include "base/limits.h"
#include "coordinator/access.h"
#include "coordinator/archive.h"
#include "coordinator/endpoint_file.h"
#include "coordinator/journal.h"
#include "coordinator/prepare.h"
#include "coordinator/requests.h"
#include "coordinator/room.h"
#include "coordinator/workers.h"
#include "scheduler/apply.h"
#include "scheduler/lease.h"
#include "wire/systemd_notify.h"

namespace paddock::coordinator {
namespace {

using scheduler::Effects;
using scheduler::Event;
using scheduler::What;

// However long nothing happens: a turn then finds clock jumps and counters to report.
constexpr Millis kIdleMax = std::chrono::seconds(10);
constexpr std::chrono::microseconds kBetweenSyncs{1'000};
// How many events pass between two looks at which graphs are to be archived.
constexpr std::uint64_t kEventsPerLook = 1'000;

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

class Coordinator {
 public:
  Coordinator(const CoordinatorOptions& options, storage::Database& database, Journal journal, Access& access,
              Room& room, wire::Server server, const Log& log)
      : options_(options),
        log_(log),
        access_(access),
        journal_(std::move(journal)),
        server_(std::move(server)),
        archive_(database),
        checkpoints_(database),
        room_(room),
        logs_(options.state / "logs", options.log_bytes_max, room_),
        workers_(options_, cluster_, progress_, logs_, server_, log_),
        requests_(
            Sources{options_, cluster_, progress_, logs_, archive_, checkpoints_, server_, room_, log_}) {}
  Coordinator(const Coordinator&) = delete;
  Coordinator& operator=(const Coordinator&) = delete;

  Result<void> replay();
  Result<void> serve(const Signals& signals);

 private:
  Instant now() const;
  Millis time_to_wait() const;
  void gather() const;
  bool receive(Turn& turn);
  void take(const wire::Received& received, Turn& turn);
  void look_at_the_allow_list(bool in_any_case);
  Result<void> take_turn(Turn turn);
  Result<void> keep_bounds();
  Result<void> archive_ended();
  scheduler::Moment moment() const;
  Result<void> carry_out(const Effects& effects);
  void carry_out(const scheduler::PrepareJob& effect);
  void carry_out(const scheduler::RecordCheckpoint& effect);
  void carry_out(const scheduler::ReportJob& effect);

  const CoordinatorOptions options_;
  const Log log_;
  Access& access_;
  Journal journal_;
  wire::Server server_;
  scheduler::Cluster cluster_;
  Progress progress_;
  Archive archive_;
  storage::CheckpointIndex checkpoints_;
  Room& room_;
  LogStore logs_;
  Workers workers_;
  Requests requests_;
  std::uint64_t look_at_event_ = 0;  // when it is looked whether graphs are to be archived
  Instant look_at_;
  std::deque<What> next_;  // for the next turn: what the effects of the last one brought about
  // The clock goes on from where the journal ends, so that instants in it keep their meaning.
  Instant clock_origin_;
  std::chrono::steady_clock::time_point synced_;  // when the last events became durable
  std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  // All that had come until then was heard. Deadlines are judged by it and not by the clock: while a slow disk or a
  // stopped process kept us away, heartbeats have been waiting to be read.
  Instant heard_until_;
};

Instant Coordinator::now() const {
  const auto since = std::chrono::steady_clock::now() - started_;
  return clock_origin_ + std::chrono::duration_cast<Millis>(since);
}

Result<void> Coordinator::replay() {
  // A turn is journaled as one, then carried out: only the last one's checkpoints can be missing from the
  // index.
  std::deque<scheduler::RecordCheckpoint> newest;
  TRY_ASSIGN(cluster_, journal_.restore(), "starting from " + options_.state.string());
  const std::uint64_t events = journal_.events_since_snapshot();
  Effects effects;
  TRY(journal_.replay([&](const Event& event) {
    scheduler::apply(cluster_, event, effects);
    for (const scheduler::Effect& effect : effects) {
      if (const auto* saved = std::get_if<scheduler::RecordCheckpoint>(&effect)) newest.push_back(*saved);
    }
    effects.clear();
    if (newest.size() > 2 * limits::kEventsPerTurnMax) newest.pop_front();
  }),
      "starting from " + options_.state.string());
  for (const scheduler::RecordCheckpoint& saved : newest) carry_out(saved);
  clock_origin_ = cluster_.now;
  started_ = std::chrono::steady_clock::now();
  heard_until_ = clock_origin_;
  next_.emplace_back(scheduler::CoordinatorStarted{now() + options_.lease + options_.lease_margin});
  log_.info(
      "journal_replayed",
      {{"events", journal_.next_sequence() - 1}, {"replayed", events}, {"graphs", cluster_.graphs.size()}});
  return {};
}

Millis Coordinator::time_to_wait() const {
  if (!next_.empty()) return Millis(0);
  const auto deadline = scheduler::next_deadline(cluster_);
  if (!deadline) return kIdleMax;
  return std::clamp(*deadline - now(), Millis(0), kIdleMax);
}

// True: all that had come was heard.
bool Coordinator::receive(Turn& turn) {
  for (std::size_t i = 0; i < limits::kEventsPerTurnMax && turn.events.size() < limits::kEventsPerTurnMax;
       ++i) {
    const auto received = server_.receive();
    if (!received) return true;
    take(*received, turn);
  }
  return false;
}

void Coordinator::take(const wire::Received& received, Turn& turn) {
  const wire::Message::Reader message = received.envelope.message();
  Error refusal{Code::kInvalid, "the coordinator does not take that message"};
  const auto requester = access_.who(received.key);
  const Reach reach = requester ? reach_of(*requester, message.which()) : Reach::kNone;
  if (reach == Reach::kNone) {
    refusal = Error{Code::kDenied, requester ? "the key of " + requester->grant.name + " is a " +
                                                   std::string(wire::name_of(requester->grant.role)) +
                                                   "'s, which may not ask that"
                                             : "this key has been revoked"};
  } else if (requests_.handle({received.peer, message.getRequestId(), *requester, reach}, message, now(),
                              turn) ||
             workers_.handle(received.peer, *requester, message, now(), turn)) {
    return;
  }
  capnp::MallocMessageBuilder builder;
  wire::write_refusal(builder, message.getRequestId(), refusal);
  static_cast<void>(server_.send(received.peer, builder));  // whoever sent nonsense may also be gone
}

void Coordinator::look_at_the_allow_list(bool in_any_case) {
  if (!access_.refresh(in_any_case)) return;
  workers_.keep_only([this](const std::string& key) { return access_.who(key).has_value(); });
}

scheduler::Moment Coordinator::moment() const {
  const auto wall = std::chrono::duration_cast<Millis>(std::chrono::system_clock::now().time_since_epoch());
  return {now(), WallTime{wall.count()}};
}

Result<void> Coordinator::take_turn(Turn turn) {
  const scheduler::Moment at = moment();
  std::vector<Event> events;
  for (What& what : turn.events) events.push_back(Event{at, std::move(what)});
  Effects effects;
  for (std::size_t next = 0; next < events.size(); ++next) {
    const std::size_t before = effects.size();
    scheduler::apply(cluster_, events[next], effects);
    for (std::size_t i = before; i < effects.size(); ++i) {
      const auto* ready = std::get_if<scheduler::PrepareJob>(&effects[i]);
      if (ready == nullptr) continue;
      What prepared = prepare_job(cluster_, ready->job, options_.store);
      if (events.size() < limits::kEventsPerTurnMax) {
        events.push_back(Event{at, std::move(prepared)});
      } else {
        next_.push_back(std::move(prepared));
      }
    }
  }
  // What is in memory is ahead of the journal up to here, and nobody has seen it. If this fails we stop, and
  // the next start knows only what is in the journal.
  const std::uint64_t journaled = journal_.next_sequence();
  TRY(journal_.append(events), "a turn");  // synced before anyone is told
  if (journal_.next_sequence() != journaled) synced_ = std::chrono::steady_clock::now();
  for (const auto& answer : turn.answers) answer();
  const auto found = workers_.take_found();
  next_.insert(next_.end(), found.begin(), found.end());
  return carry_out(effects);
}

// Memory and the time of the next start. Between turns, so that all effects of the events so far are carried
// out.
Result<void> Coordinator::keep_bounds() {
  if (!room_.is_whole()) return {};  // what room there is, is for what was accepted
  const std::uint64_t event = journal_.next_sequence();
  const bool is_time = now() >= look_at_;
  if (event >= look_at_event_ || is_time) {
    look_at_event_ = event + kEventsPerLook;
    look_at_ = now() + kIdleMax;
    if (is_time) malloc_trim(0);  // what a large submission needed for a moment goes back to the machine
    TRY(archive_ended(), "archiving graphs that have ended");
  }
  if (journal_.events_since_snapshot() < options_.snapshot_events) return {};
  std::uint64_t jobs = 0;
  for (const auto& [id, graph] : cluster_.graphs) jobs += graph.jobs.size();
  if (journal_.events_since_snapshot() < 2 * jobs) return {};
  const Instant start = now();
  TRY(journal_.take_snapshot(cluster_), "bounding the next replay");
  log_.info("snapshot_taken",
            {{"events", journal_.next_sequence() - 1}, {"jobs", jobs}, {"took_ms", (now() - start).count()}});
  return {};
}

Result<void> Coordinator::archive_ended() {
  const scheduler::Moment at = moment();
  const auto graphs = graphs_to_archive(cluster_, at.wall, options_.keep_ended, options_.ended_jobs_max);
  if (graphs.empty()) return {};
  const Event event{at, scheduler::GraphsArchived{graphs}};
  TRY(journal_.append({event}, Archive::rows_of(cluster_, graphs)), "a turn");
  Effects effects;
  scheduler::apply(cluster_, event, effects);
  for (const GraphId id : graphs) {
    progress_.erase(progress_.lower_bound(JobKey{id, JobName{}}),
                    progress_.lower_bound(JobKey{GraphId{id.value + 1}, JobName{}}));
  }
  log_.info("graphs_archived", {{"graphs", graphs.size()}});
  return carry_out(effects);
}

Result<void> Coordinator::carry_out(const Effects& effects) {
  for (const scheduler::Effect& effect : effects) {
    std::visit(
        [&](const auto& what) {
          if constexpr (requires { workers_.carry_out(what); }) {
            workers_.carry_out(what);
          } else {
            carry_out(what);
          }
        },
        effect);
  }
  return {};
}

void Coordinator::carry_out(const scheduler::PrepareJob&) {
  // Done already, by the turn itself: the job then starts with the same sync.
}

void Coordinator::carry_out(const scheduler::RecordCheckpoint& effect) {
  const storage::CheckpointInfo checkpoint{effect.step, effect.fence, effect.path, effect.hash, effect.bytes};
  const auto recorded = checkpoints_.record(run_name(effect.job), checkpoint);
  // kFenced: an older one, replayed. The index is expendable: the manifests on the store are the truth.
  if (!recorded && recorded.error().code != Code::kFenced) {
    log_.error("checkpoint_not_indexed",
               {{"job", run_name(effect.job)}, {"reason", recorded.error().message}});
  }
}

void Coordinator::carry_out(const scheduler::ReportJob& effect) {
  if (effect.state == scheduler::JobState::kPreparing || effect.state == scheduler::JobState::kQueued) return;
  log_.info("job_" + std::string(scheduler::name_of(effect.state)),
            {{"job", run_name(effect.job)}, {"reason", effect.reason}});
}

// Under load more comes while we wait, and goes with the same sync: a message waits a millisecond at most, and
// the disk is asked a thousand times a second at most. Who is alone does not wait.
void Coordinator::gather() const {
  const auto since = std::chrono::steady_clock::now() - synced_;
  if (since < kBetweenSyncs) std::this_thread::sleep_for(kBetweenSyncs - since);
}

Result<void> Coordinator::serve(const Signals& signals) {
  bool is_announced = false;
  while (true) {
    Turn turn;
    const std::size_t count = std::min(next_.size(), limits::kEventsPerTurnMax);
    turn.events.assign(std::make_move_iterator(next_.begin()),
                       std::make_move_iterator(next_.begin() + count));
    next_.erase(next_.begin(), next_.begin() + count);
    room_.look();
    for (What& what : scheduler::due(cluster_, heard_until_)) turn.events.push_back(std::move(what));
    const Instant before = now();
    if (receive(turn)) heard_until_ = before;
    TRY(take_turn(std::move(turn)), "the coordinator stops, start it again");
    TRY(keep_bounds(), "the coordinator stops, start it again");
    if (!is_announced) {
      is_announced = true;
      if (!options_.endpoint_file.empty()) {
        TRY(write_endpoint(options_.endpoint_file, server_.endpoint(), access_.public_key()),
            "announcing the endpoint");
      }
      log_.info("coordinator_ready", {{"endpoint", server_.endpoint()}});
      wire::systemd_notify("READY=1");
    }
    const std::array descriptors{signals.fd(), access_.descriptor()};
    const std::size_t watched = access_.descriptor() < 0 ? 1 : 2;
    TRY(server_.wait(time_to_wait(), std::span(descriptors).first(watched)), "waiting for messages");
    const std::vector<int> came = signals.take();
    const bool is_hung_up = std::ranges::count(came, SIGHUP) > 0;
    look_at_the_allow_list(is_hung_up);
    if (came.size() > static_cast<std::size_t>(std::ranges::count(came, SIGHUP))) break;
    if (next_.empty()) gather();
  }
  wire::systemd_notify("STOPPING=1");
  // So that the next start has nothing to replay, and a newer version nothing that it would decide otherwise.
  if (journal_.events_since_snapshot() > 0 && room_.is_whole()) {
    TRY(journal_.take_snapshot(cluster_), "leaving a snapshot");
  }
  log_.info("coordinator_stopped");
  return {};
}

}  // namespace

Result<void> run_coordinator(const CoordinatorOptions& options, const Log& log) {
  TRY(check_options(options), "starting the coordinator");
  TRY_ASSIGN(const Signals signals, Signals::open(), "starting the coordinator");
  TRY_ASSIGN(Access access, Access::open(options, log), "starting the coordinator");
  Room room(options.state, options.disk_reserve_bytes,
            log);  // first: to open the database takes room as well
  room.look();
  TRY_ASSIGN(storage::Database database, storage::Database::open(options.state / "db"),
             "starting the coordinator");
  if (database.torn_tail()) log.warn("journal_tail_dropped", {{"reason", *database.torn_tail()}});
  TRY_ASSIGN(Journal journal, Journal::open(database), "starting the coordinator");
  TRY_ASSIGN(wire::Server server, open_server(options, access), "starting the coordinator");
  Coordinator coordinator(options, database, std::move(journal), access, room, std::move(server), log);
  TRY(coordinator.replay(), "replaying the journal");
  return coordinator.serve(signals);
}

}  // namespace paddock::coordinator
