// scheduler/event.h – all that can happen to the cluster. What is applied is journaled first, but for
// NodeSeen, which only moves a lease: docs/journal-format.md, coordinator/event_json.h. Append only. Threads:
// values.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "scheduler/graph.h"
#include "scheduler/schedule.h"
#include "scheduler/tenant.h"

namespace paddock::scheduler {

// Raised by every change after which events of before would be decided otherwise: a journal holds no decisions, so
// replay decides again, by the rules that CoordinatorStarted names (docs/journal-format.md). The old way keeps a file
// of its own (rules_1.h, rules_2.h). 2: fair share, quotas, holds with time limits, preemption, cordons, labels, racks.
// 3: nodes are kept, and attempts asked to go, node by node instead of among a bounded number of attempts; how much of the
// queue a decision tries is bounded; a GPU's fault is noted though its node is taken for lost, and what was kept on the node is
// looked at again.
// 4: placement decides once a turn; nodes stay kept for a job while others of its rank come and go, and whom it asked to go is
// remembered; what is too large for the cluster keeps nobody from having nodes kept; where nodes are reserved the queue is tried
// as far as elsewhere.
// 5: of which kind the GPUs are that attempts would give back is known; nodes are kept, and attempts asked to go, only where the
// job may still run by then, whatever is reserved; what a decision does not come to is looked at bit by bit (RestDue).
inline constexpr std::uint64_t kRules = 5;

// `token` is drawn by the client; a second submission with the same one changes nothing.
struct GraphSubmitted {
  std::string name;
  std::int64_t priority = 0;
  std::string token;
  std::vector<JobRequest> jobs;
  std::string tenant = kTenantDefault;  // who is charged
  GraphId retry_of{};                   // 0: of none
  std::map<JobName, Artifacts> done{};  // jobs that need not run: what they made in `retry_of`
  bool operator==(const GraphSubmitted&) const = default;
};

struct GraphCancelled {
  GraphId graph;
  std::string reason;
  bool operator==(const GraphCancelled&) const = default;
};

// The answer to the effect PrepareJob. With `is_cached` the job has succeeded with `artifacts`.
struct JobPrepared {
  JobKey job;
  Launch launch;
  bool is_cached = false;
  Artifacts artifacts;
  bool operator==(const JobPrepared&) const = default;
};

// The second answer to PrepareJob: it cannot run as it is.
struct JobRefused {
  JobKey job;
  std::string reason;
  bool operator==(const JobRefused&) const = default;
};

// A new incarnation of a known node means that all its old ranks are dead; the same one means that they go
// on.
struct NodeJoined {
  NodeId node;
  std::uint64_t incarnation = 0;
  std::string address;
  Offer offer;
  Instant lease_until;
  bool operator==(const NodeJoined&) const = default;
};

struct NodeSeen {
  NodeId node;
  std::uint64_t incarnation = 0;
  Instant lease_until;
  bool operator==(const NodeSeen&) const = default;
};

// A polite goodbye: its ranks have ended.
struct NodeLeft {
  NodeId node;
  std::uint64_t incarnation = 0;
  bool operator==(const NodeLeft&) const = default;
};

// Its lease ran out, so its worker has ended its ranks by itself. Made by due() in lease.h.
struct NodeLost {
  NodeId node;
  std::uint64_t incarnation = 0;
  bool operator==(const NodeLost&) const = default;
};

// Made by due() in lease.h.
struct BackoffEnded {
  JobKey job;
  bool operator==(const BackoffEnded&) const = default;
};

struct RankStarted {
  Fence fence;
  RankId rank;
  std::int64_t pid = 0;
  bool operator==(const RankStarted&) const = default;
};

struct RankEnded {
  Fence fence;
  RankId rank;
  std::int32_t exit_code = 0;  // docs/rank-protocol.md; -1 when a signal ended it
  std::int32_t signal = 0;     // 0 when it exited
  std::string reason;          // "exited 1", "killed by signal 9", "never started"
  bool is_out_of_memory = false;
  bool is_node_fault = false;  // its worker ended it for the worker's own sake: counts as a lost node
  bool operator==(const RankEnded&) const = default;
};

// The rank's own sentence on why it is about to fail.
struct FailureReported {
  Fence fence;
  RankId rank;
  std::string message;
  bool operator==(const FailureReported&) const = default;
};

struct ArtifactRecorded {
  Fence fence;
  std::string name;
  Artifact artifact;
  bool operator==(const ArtifactRecorded&) const = default;
};

struct CheckpointRecorded {
  Fence fence;
  std::int64_t step = 0;
  std::string path;
  std::string hash;
  std::uint64_t bytes = 0;
  bool operator==(const CheckpointRecorded&) const = default;
};

// Comes after every replay: all ready nodes get until `lease_until` to be heard, what was to be prepared is
// asked again.
struct CoordinatorStarted {
  Instant lease_until;
  std::uint64_t rules = kRules;  // by which placement decides from here on; records without it say 1
  bool operator==(const CoordinatorStarted&) const = default;
};

// The third answer to PrepareJob: its condition does not hold, so it is not to run; no failure.
struct JobSkipped {
  JobKey job;
  std::string reason;
  bool operator==(const JobSkipped&) const = default;
};

// Made by due() in lease.h.
struct TimeLimitReached {
  Fence fence;
  bool operator==(const TimeLimitReached&) const = default;
};

// Graphs that have ended leave the cluster: the coordinator has them in its archive, and answers from there.
struct GraphsArchived {
  std::vector<GraphId> graphs;
  bool operator==(const GraphsArchived&) const = default;
};

// An operator takes the node out: nothing new starts there, and what runs goes on elsewhere from its next
// checkpoint, or when the deadline is over.
struct NodeDrained {
  NodeId node;
  std::string reason;
  Instant ends_at;  // 0: no deadline
  bool operator==(const NodeDrained&) const = default;
};

// It takes work again, drained or cordoned.
struct NodeResumed {
  NodeId node;
  bool operator==(const NodeResumed&) const = default;
};

// Made by due() in lease.h: the time of a cordon, or the deadline of a drain, is over.
struct CordonEnded {
  NodeId node;
  bool operator==(const CordonEnded&) const = default;
};

// An operator says what a tenant may use and how much of the cluster is its share.
struct TenantSet {
  std::string tenant;
  std::int64_t weight_permille = 1'000;
  Usage quota;
  bool operator==(const TenantSet&) const = default;
};

// The node's driver says that the device is ill. Until the node's worker is started again nothing is placed on it; a rank
// that holds it goes on, and keeps it until it ends.
struct GpuFaulted {
  NodeId node;
  std::uint64_t incarnation = 0;
  std::string uuid;
  std::string reason;
  bool operator==(const GpuFaulted&) const = default;
};

// A graph that is to be run again and again. One of that name is changed by it, if it is of the same tenant.
struct ScheduleSet {
  GraphSubmitted graph;
  ScheduleRule rule;
  bool operator==(const ScheduleSet&) const = default;
};

// Times of a schedule that have come: made by settle() in schedule.h, when the coordinator has found out which they are.
struct ScheduleDue {
  std::string schedule;
  WallTime until;             // all times up to this are settled by it
  std::vector<WallTime> run;  // oldest first
  std::uint64_t passed_over = 0;
  WallTime newest_passed_over{};
  std::string why{};  // these are
  bool operator==(const ScheduleDue&) const = default;
};

struct ScheduleSteered {
  std::string schedule;
  Steer what = Steer::kPause;
  bool operator==(const ScheduleSteered&) const = default;
};

// Out of turn, because somebody asks. `token` as in GraphSubmitted.
struct ScheduleRunAsked {
  std::string schedule;
  std::string token;
  bool operator==(const ScheduleRunAsked&) const = default;
};

// An operator sets nodes aside for tenants: reservation.h. Nothing, if there are not so many, or one of that name is there.
struct ReservationSet {
  std::string name;
  std::set<std::string> tenants;
  std::uint32_t nodes = 0;  // so many; 0: all that have the labels
  Labels labels;            // that they must have
  WallTime begins;
  WallTime ends;
  bool operator==(const ReservationSet&) const = default;
};

struct ReservationRemoved {
  std::string name;
  bool operator==(const ReservationRemoved&) const = default;
};

// Made by due_reservations() in reservation.h: it has begun, or ended.
struct ReservationTurned {
  std::string name;
  bool has_ended = false;
  bool operator==(const ReservationTurned&) const = default;
};

// Made by due() in lease.h: the part of the queue that the last decisions did not come to is looked at (rest.h).
struct RestDue {
  bool operator==(const RestDue&) const = default;
};

using What = std::variant<GraphSubmitted, GraphCancelled, JobPrepared, JobRefused, NodeJoined, NodeSeen,
                          NodeLeft, NodeLost, BackoffEnded, RankStarted, RankEnded, FailureReported,
                          ArtifactRecorded, CheckpointRecorded, CoordinatorStarted, JobSkipped,
                          TimeLimitReached, GraphsArchived, NodeDrained, NodeResumed, CordonEnded, TenantSet,
                          GpuFaulted, ScheduleSet, ScheduleDue, ScheduleSteered, ScheduleRunAsked,
                          ReservationSet, ReservationRemoved, ReservationTurned, RestDue>;

struct Event {
  Moment at;
  What what;
  bool is_followed = false;  // others of the same turn follow, and placement waits for the last of them
  bool operator==(const Event&) const = default;
};

}  // namespace paddock::scheduler
