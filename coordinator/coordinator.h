// coordinator/coordinator.h – the shell around the scheduler: receives, journals, applies, answers, carries out, a turn
// at a time. Everything outside of it comes through the interfaces in Surroundings: the daemon (daemon.h) gives it the
// machine's own, a simulation (simulation/) a world that fails from a seed. Threads: one owner.
#pragma once

#include <deque>
#include <memory>

#include "base/log.h"
#include "base/result.h"
#include "coordinator/archive.h"
#include "coordinator/clock.h"
#include "coordinator/journal.h"
#include "coordinator/logs.h"
#include "coordinator/options.h"
#include "coordinator/permissions.h"
#include "coordinator/requests.h"
#include "coordinator/retention.h"
#include "coordinator/schedules.h"
#include "coordinator/space.h"
#include "coordinator/workers.h"
#include "storage/checkpoint_index.h"
#include "storage/tables.h"
#include "wire/transport.h"

namespace paddock::coordinator {

// Nothing is owned; all outlive the coordinator.
struct Surroundings {
  const Clock& clock;
  storage::Tables& tables;
  wire::Transport& transport;
  const Admission& admission;
  Space& space;
  Logs& logs;
};

class Coordinator {
 public:
  // Replays the journal. kCorrupt: it is damaged, or a newer version's; nothing was changed. kUnavailable: the disk
  // refuses.
  static Result<std::unique_ptr<Coordinator>> open(const CoordinatorOptions& options,
                                                   const Surroundings& surroundings, const Log& log);
  Coordinator(const Coordinator&) = delete;
  Coordinator& operator=(const Coordinator&) = delete;

  // Takes what has come and what is due, as one group of events. An error means that it must stop, and be opened again:
  // what is in memory is ahead of the journal, and nobody has seen it.
  Result<void> take_turn();
  // When to take the next turn, if nothing comes before.
  Millis time_to_wait() const;
  // Whether the last turn left something for the next.
  bool has_more() const { return !next_.empty(); }
  // Of the journal: grows when events became durable.
  std::uint64_t next_sequence() const { return journal_.next_sequence(); }
  // The allow-list has changed: who is no longer on it is cut off.
  void keep_only_the_admitted();
  // At a polite stop: leaves a snapshot, so that the next start has nothing to replay, and a newer version nothing that
  // it would decide otherwise.
  Result<void> stop();

  // For whoever checks invariants.
  const scheduler::Cluster& cluster() const { return cluster_; }

 private:
  Coordinator(const CoordinatorOptions& options, const Surroundings& surroundings, Journal journal,
              const Log& log);

  Result<void> replay();
  Instant now() const;
  bool receive(Turn& turn);
  void take(const wire::Received& received, Turn& turn);
  Result<void> carry_through(Turn turn);
  Result<void> keep_bounds();
  void remove_old_graphs();
  Result<void> archive_ended();
  scheduler::Moment moment() const;
  Result<void> carry_out(const scheduler::Effects& effects);
  void carry_out(const scheduler::PrepareJob& effect);
  void carry_out(const scheduler::RecordCheckpoint& effect);
  void carry_out(const scheduler::ReportJob& effect);

  const CoordinatorOptions options_;
  const Log log_;
  const Surroundings around_;
  Journal journal_;
  scheduler::Cluster cluster_;
  Progress progress_;
  Archive archive_;
  storage::CheckpointIndex checkpoints_;
  Retention retention_;
  bool has_old_graphs_ = false;  // to remove, without waiting for the next look
  Instant remove_again_at_{};
  Schedules schedules_;
  Workers workers_;
  Requests requests_;
  std::uint64_t look_at_event_ = 0;  // when it is looked whether graphs are to be archived
  Instant look_at_;
  bool gives_memory_back_ = false;    // to the machine, after this turn
  std::deque<scheduler::What> next_;  // for the next turn: what the effects of the last one brought about
  std::deque<JobKey> unprepared_;     // to be prepared in the turns to come
  // The clock goes on from where the journal ends, so that instants in it keep their meaning.
  Instant clock_origin_;
  Instant started_;  // by around_.clock
  // All that had come until then was heard. Deadlines are judged by it and not by the clock: while a slow disk or a
  // stopped process kept us away, heartbeats have been waiting to be read.
  Instant heard_until_;
};

}  // namespace paddock::coordinator
