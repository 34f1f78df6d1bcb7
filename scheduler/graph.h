// scheduler/graph.h – a submitted graph: its jobs, their attempts, their ranks, and the states each can be
// in. Records only; they change in apply.cpp, job.cpp and attempt.cpp. Threads: values.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "scheduler/resources.h"
#include "scheduler/shared.h"

namespace paddock::scheduler {

// When something happened: by the loop's own clock, which decides, and by the wall clock, which people read.
struct Moment {
  Instant now;
  WallTime wall;
  bool operator==(const Moment&) const = default;
};

struct Artifact {
  std::string path;
  std::string hash;
  bool operator==(const Artifact&) const = default;
};
using Artifacts = std::map<std::string, Artifact>;  // by name

struct RetryRule {
  std::int32_t limit = 0;                // how many failed attempts are followed by another
  Millis backoff{0};                     // before the second attempt
  std::int64_t factor_permille = 2'000;  // each later pause is this much longer, up to limits::kBackoffMax
  std::set<std::string> not_on{"time_limit"};  // classes of failure (failure.h) after which there is no other
  bool operator==(const RetryRule&) const = default;
};

// What a job that is needed must have come to. The rules are in edges.h.
enum class On { kSuccess, kFailure, kAlways };

// A job as submitted. `spec` is the coordinator's business (JSON); here it is only kept.
struct JobRequest {
  JobName name;
  std::string kind;
  std::vector<JobName> needs;
  Shared<Request> resources;
  Shared<RetryRule> retry;
  Millis grace{0};  // between SIGTERM and SIGKILL
  std::string spec;
  std::map<JobName, On> on{};   // of those needs that are not to succeed
  Millis time_limit{0};         // of each attempt; 0: none
  bool is_preemptible = false;  // goes on from a checkpoint, so it may be asked to make room
  bool operator==(const JobRequest&) const = default;
};

// What a prepared job is started with. Opaque here but for the stage key.
struct Launch {
  std::vector<std::string> command;
  std::string options;    // resolved, JSON
  std::string directory;  // on the shared store, the same for every attempt
  std::map<std::string, std::string> environment;
  std::string stage_key;  // equal keys are equal work; "": never shared
  bool operator==(const Launch&) const = default;
};

// Whose graph it is when nobody is named.
inline constexpr const char* kTenantDefault = "default";

enum class RankState { kAssigned, kStarted, kEnded };

struct Rank {
  NodeId node;
  std::uint64_t generation = 0;  // of the node when the rank was placed
  std::uint32_t local_rank = 0;
  std::vector<std::string> gpus;  // UUIDs
  RankState state = RankState::kAssigned;
  std::int64_t pid = 0;  // 0: not started yet
  std::string failure;   // the rank's own sentence, if it said one
  bool operator==(const Rank&) const = default;
};

// kStopped: asked to stop and saved (exit code 75). kPreempted: asked by the scheduler, to make room, to leave a
// node, to grow. These two and kNodeLost do not count against the retry limit.
enum class Outcome { kRunning, kSucceeded, kFailed, kStopped, kNodeLost, kCancelled, kTimedOut, kPreempted };

// Why an attempt is being ended while some of its ranks still run.
struct Ending {
  Outcome outcome = Outcome::kFailed;
  bool may_retry = true;
  std::string reason;
  Instant since;
  bool operator==(const Ending&) const = default;
};

// What put it before the others that waited: nothing waited; its priority, as submitted or risen; its tenant's share; the
// order of submission, within the tenant or between tenants that have had as much; nothing of these, it was found to fit as
// the rest of the queue was looked through.
enum class Lead : std::uint8_t {
  kUnknown,
  kAlone,
  kPriority,
  kRisen,
  kFairShare,
  kOrder,
  kOrderOfTenants,
  kFoundInRest
};

// Why an attempt started when it did and where it did: why_started() in explain.h makes a sentence of it. Numbers only:
// every attempt has one.
struct StartReason {
  Lead lead = Lead::kUnknown;      // of attempts of older versions
  bool were_kept = false;          // its nodes, all of them, for it
  bool is_on_kept_nodes = false;   // it fills a gap on nodes that are kept for the job ahead
  bool is_elsewhere = false;       // nodes on which it was lost before were left out
  std::uint32_t ahead_index = 0;   // the job ahead, for which nodes are kept: its place in its graph
  GraphId ahead_graph;             // 0: none
  std::int64_t priority = 0;       // with what it had risen by
  bool has_passed_others = false;  // whose turn came before its own, and who could not start
  bool operator==(const StartReason&) const = default;
};

struct Attempt {
  std::uint32_t number = 0;  // from 1
  Fence fence;
  Outcome outcome = Outcome::kRunning;
  std::string reason;
  std::optional<Ending> ending;
  std::vector<Rank> ranks;  // by rank, node by node; rank 0's node is the master
  std::uint16_t master_port = 0;
  WallTime started;
  WallTime ended;  // 0: not yet
  Instant started_at{};
  StartReason start{};
  bool operator==(const Attempt&) const = default;

  bool is_live() const { return outcome == Outcome::kRunning; }
};

// waiting (a need is unmet) → preparing → queued → running → succeeded | failed | cancelled, with backing_off
// between attempts; skipped: a need came to something else than it waits for, or its condition does not hold.
// The last four are terminal and final.
enum class JobState {
  kWaiting,
  kPreparing,
  kQueued,
  kRunning,
  kBackingOff,
  kSucceeded,
  kFailed,
  kCancelled,
  kSkipped
};

struct Job {
  JobRequest request;
  std::uint32_t index = 0;  // place in the submission
  std::vector<JobName> dependants;
  std::uint32_t needs_open = 0;  // needs that have not come to what it waits for
  bool has_failed_need = false;  // skipped because of a failure before it, which makes the graph a failed one
  JobState state = JobState::kWaiting;
  std::string reason;  // of a terminal state, or of the pause before the next attempt
  Launch launch;
  bool is_cached = false;  // its artifacts come from an earlier job with the same stage key
  Artifacts artifacts;
  std::vector<Attempt> attempts;   // [i] has number i + 1
  std::int32_t failures = 0;       // those that count against the retry limit
  std::int32_t interruptions = 0;  // uncounted ends since the last counted one
  Instant retry_at;                // while backing off
  WallTime started;
  WallTime ended;
  std::set<NodeId> suspects;  // on which an attempt was lost for the node's sake
  bool operator==(const Job&) const = default;

  Attempt* live_attempt() {
    return attempts.empty() || !attempts.back().is_live() ? nullptr : &attempts.back();
  }
  const Attempt* live_attempt() const { return const_cast<Job*>(this)->live_attempt(); }
};

inline constexpr std::size_t kJobStates = 9;

enum class GraphState { kActive, kSucceeded, kFailed, kCancelled };

struct Graph {
  GraphId id;
  std::string name;
  std::string tenant = kTenantDefault;  // who is charged
  std::int64_t priority = 0;            // more is sooner
  GraphState state = GraphState::kActive;
  std::optional<std::string> cancelled;  // why, once somebody asked
  std::map<JobName, Job> jobs;
  std::uint64_t jobs_open = 0;  // not terminal
  std::uint64_t jobs_bad = 0;   // failed, cancelled, or skipped because of a failure
  WallTime submitted;
  WallTime ended;
  GraphId retry_of{};        // the graph that this one takes up again; 0: none
  std::string schedule{};    // whose run it is: schedule.h; "": it was submitted by itself
  WallTime scheduled_for{};  // of a run: its time
  std::array<std::uint32_t, kJobStates> in_state{};  // how many of its jobs are, by JobState
  bool operator==(const Graph&) const = default;
};

// Jobs that ask for the same and are tried again by the same rule hold one value of each together.
void share_alike(Graph& graph);
// As its jobs are: what Graph::in_state must be.
std::array<std::uint32_t, kJobStates> count_states(const Graph& graph);
bool is_terminal(JobState state);
// As users and the wire see them: "backing_off", "node_lost", …
std::string_view name_of(JobState state);
std::string_view name_of(GraphState state);
std::string_view name_of(Outcome outcome);

// kInvalid with the first fault: no job, a bad or doubled name, an unknown need, an edge to a job that is not
// needed, a cycle, a size out of bounds.
Result<void> check_graph(std::string_view name, const std::vector<JobRequest>& jobs);

}  // namespace paddock::scheduler
