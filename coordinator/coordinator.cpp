#include "coordinator/coordinator.h"

#include <malloc.h>

#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "coordinator/prepare.h"
#include "scheduler/apply.h"
#include "scheduler/lease.h"

namespace paddock::coordinator {
namespace {

using scheduler::Effects;
using scheduler::Event;
using scheduler::What;

// However long nothing happens: a turn then finds clock jumps and counters to report.
constexpr Millis kIdleMax = std::chrono::seconds(10);
// The rest of the time is for everybody else.
constexpr Millis kBetweenRemovals{20};
// How many events pass between two looks at which graphs are to be archived.
constexpr std::uint64_t kEventsPerLook = 1'000;
// Jobs of a large graph that are prepared in a turn: there is room for what others say.
constexpr std::size_t kPreparedPerTurnMax = limits::kEventsPerTurnMax / 2;
// To read, check and journal a graph of so many takes several times the memory that it needs afterwards.
constexpr std::size_t kJobsOfLargeGraph = 10'000;

// The last event of which the journal will tell; heartbeats are not journaled.
std::size_t last_journaled(const std::vector<Event>& events) {
  std::size_t last = events.size();
  while (last > 0 && std::holds_alternative<scheduler::NodeSeen>(events[last - 1].what)) --last;
  return last == 0 ? 0 : last - 1;
}

}  // namespace

Coordinator::Coordinator(const CoordinatorOptions& options, const Surroundings& surroundings, Journal journal,
                         const Log& log)
    : options_(options),
      log_(log),
      around_(surroundings),
      journal_(std::move(journal)),
      archive_(around_.tables),
      checkpoints_(around_.tables),
      retention_(options_, archive_, around_.logs, log_),
      schedules_(cluster_, log_),
      workers_(options_, cluster_, progress_, around_.logs, around_.transport, log_),
      requests_(Sources{options_, cluster_, progress_, around_.logs, archive_, checkpoints_, schedules_,
                        around_.clock, around_.transport, around_.space, log_}) {}

Result<std::unique_ptr<Coordinator>> Coordinator::open(const CoordinatorOptions& options,
                                                       const Surroundings& surroundings, const Log& log) {
  TRY_ASSIGN(Journal journal, Journal::open(surroundings.tables), "opening the journal");
  std::unique_ptr<Coordinator> coordinator(new Coordinator(options, surroundings, std::move(journal), log));
  TRY(coordinator->replay(), "replaying the journal");
  return coordinator;
}

Instant Coordinator::now() const {
  return clock_origin_ + (around_.clock.now() - started_);
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
  // Those of graphs that have left were recorded before that, and may have been forgotten for good.
  for (const scheduler::RecordCheckpoint& saved : newest)
    if (scheduler::find_graph(cluster_, saved.job.graph) != nullptr) carry_out(saved);
  schedules_.refresh();
  clock_origin_ = cluster_.now;
  started_ = around_.clock.now();
  // Renewals of leases are not journaled, so those that were replayed are older than what the workers hold: nobody is
  // judged before CoordinatorStarted has given all of them time to be heard.
  heard_until_ = Instant{};
  next_.emplace_back(scheduler::CoordinatorStarted{now() + options_.lease + options_.lease_margin});
  log_.info(
      "journal_replayed",
      {{"events", journal_.next_sequence() - 1}, {"replayed", events}, {"graphs", cluster_.graphs.size()}});
  return {};
}

Millis Coordinator::time_to_wait() const {
  if (!next_.empty() || !unprepared_.empty()) return Millis(0);
  Millis wait = kIdleMax;
  if (const auto deadline = scheduler::next_deadline(cluster_)) wait = std::min(wait, *deadline - now());
  if (const auto turn = scheduler::next_reservation_turn(cluster_))
    wait = std::min(wait, Millis(turn->unix_ms - around_.clock.wall().unix_ms));
  if (has_old_graphs_) wait = std::min(wait, remove_again_at_ - now());
  const auto scheduled = schedules_.next();
  if (scheduled && around_.space.is_whole())
    wait = std::min(wait, Millis(scheduled->unix_ms - around_.clock.wall().unix_ms));
  return std::max(wait, Millis(0));
}

// True: all that had come was heard.
bool Coordinator::receive(Turn& turn) {
  for (std::size_t i = 0; i < limits::kEventsPerTurnMax && turn.events.size() < limits::kEventsPerTurnMax;
       ++i) {
    const auto received = around_.transport.receive();
    if (!received) return true;
    take(*received, turn);
  }
  return false;
}

void Coordinator::take(const wire::Received& received, Turn& turn) {
  const wire::Message::Reader message = received.envelope.message();
  Error refusal{Code::kInvalid, "the coordinator does not take that message"};
  const auto requester = around_.admission.who(received.key);
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
  static_cast<void>(
      around_.transport.send(received.peer, builder));  // whoever sent nonsense may also be gone
}

void Coordinator::keep_only_the_admitted() {
  workers_.keep_only([this](const std::string& key) { return around_.admission.who(key).has_value(); });
}

scheduler::Moment Coordinator::moment() const {
  return {now(), around_.clock.wall()};
}

Result<void> Coordinator::take_turn() {
  Turn turn;
  const std::size_t count = std::min(next_.size(), limits::kEventsPerTurnMax);
  turn.events.assign(std::make_move_iterator(next_.begin()), std::make_move_iterator(next_.begin() + count));
  next_.erase(next_.begin(), next_.begin() + count);
  for (; !unprepared_.empty() && turn.events.size() < kPreparedPerTurnMax; unprepared_.pop_front())
    turn.events.push_back(prepare_job(cluster_, unprepared_.front(), options_.store));
  around_.space.look();
  for (What& what : scheduler::due(cluster_, heard_until_)) turn.events.push_back(std::move(what));
  for (scheduler::ReservationTurned& turned : scheduler::due_reservations(cluster_, around_.clock.wall()))
    turn.events.emplace_back(std::move(turned));
  if (around_.space.is_whole()) {  // else what comes due waits, as submissions do
    for (What& what : schedules_.due(around_.clock.wall())) turn.events.push_back(std::move(what));
  }
  const Instant before = now();
  if (receive(turn)) heard_until_ = before;
  TRY(carry_through(std::move(turn)), "the coordinator stops, start it again");
  return keep_bounds();
}

Result<void> Coordinator::carry_through(Turn turn) {
  const scheduler::Moment at = moment();
  std::vector<Event> events;
  for (What& what : turn.events) {
    const auto* const submitted = std::get_if<scheduler::GraphSubmitted>(&what);
    gives_memory_back_ |= submitted != nullptr && submitted->jobs.size() >= kJobsOfLargeGraph;
    events.push_back(Event{at, std::move(what)});
  }
  Effects effects;
  bool has_schedules = false;
  std::size_t last = last_journaled(events);
  for (std::size_t next = 0; next < events.size(); ++next) {
    const std::size_t before = effects.size();
    // By one of which a replay will know too.
    events[next].is_followed = next < last;
    scheduler::apply(cluster_, events[next], effects);
    has_schedules = has_schedules || touches_schedules(events[next].what);
    for (std::size_t i = before; i < effects.size(); ++i) {
      const auto* ready = std::get_if<scheduler::PrepareJob>(&effects[i]);
      if (ready == nullptr) continue;
      if (events.size() < limits::kEventsPerTurnMax) {
        events.push_back(Event{at, prepare_job(cluster_, ready->job, options_.store)});
        last = events.size() - 1;
      } else {
        unprepared_.push_back(ready->job);  // of a large graph: who submitted it need not wait for that
      }
    }
  }
  if (has_schedules) schedules_.refresh();
  // What is in memory is ahead of the journal up to here, and nobody has seen it. If this fails we stop, and
  // the next start knows only what is in the journal.
  TRY(journal_.append(events), "a turn");  // synced before anyone is told
  for (const auto& answer : turn.answers) answer();
  const auto found = workers_.take_found();
  next_.insert(next_.end(), found.begin(), found.end());
  return carry_out(effects);
}

// Memory and the time of the next start. Between turns, so that all effects of the events so far are carried
// out.
Result<void> Coordinator::keep_bounds() {
  if (!around_.space
           .is_whole()) {  // what room there is, is for what was accepted; output that nobody keeps makes more
    if (now() >= remove_again_at_) remove_old_graphs();
    return {};
  }
  const std::uint64_t event = journal_.next_sequence();
  const bool is_time = now() >= look_at_;
  if (event >= look_at_event_ || is_time) {
    look_at_event_ = event + kEventsPerLook;
    look_at_ = now() + kIdleMax;
    gives_memory_back_ |= is_time;
    TRY(archive_ended(), "archiving graphs that have ended");
    has_old_graphs_ = true;
  }
  if (has_old_graphs_ && now() >= remove_again_at_) {
    remove_old_graphs();
  }
  if (std::exchange(gives_memory_back_, false)) malloc_trim(0);
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

// What cannot be removed is no reason to stop: it is shown, and tried again with the next look.
void Coordinator::remove_old_graphs() {
  const auto has_more = retention_.look(around_.clock.wall());
  has_old_graphs_ = has_more.value_or(false);
  remove_again_at_ = now() + (has_old_graphs_ ? kBetweenRemovals : kIdleMax);
  if (!has_more) log_.error("retention_failed", {{"reason", has_more.error().message}});
}

Result<void> Coordinator::archive_ended() {
  const scheduler::Moment at = moment();
  const auto graphs = graphs_to_archive(cluster_, at.wall, options_.keep_ended, options_.ended_jobs_max);
  if (graphs.empty()) return {};
  const Event event{at, scheduler::GraphsArchived{graphs}};
  TRY(journal_.append({event}, Archive::rows_of(cluster_, graphs)), "a turn");
  archive_.note_added(cluster_, graphs);
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
  // Done already, by the turn itself: the job then starts with the same sync. Or noted as unprepared, and done by one of the next.
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

Result<void> Coordinator::stop() {
  if (journal_.events_since_snapshot() > 0 && around_.space.is_whole()) {
    TRY(journal_.take_snapshot(cluster_), "leaving a snapshot");
  }
  return {};
}

}  // namespace paddock::coordinator
