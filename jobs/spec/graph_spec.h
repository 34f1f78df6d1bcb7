// jobs/spec/graph_spec.h – a submitted graph after all checks: what the coordinator keeps and plans from.
// parse.h makes one from YAML or JSON; the JSON form here is canonical (sorted keys, all defaults resolved),
// is what the journal holds and reads back the same. docs/job-spec.md explains every key to users. Threads:
// values.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "jobs/spec/option_table.h"
#include "jobs/spec/units.h"

namespace paddock::spec {

// Placed all or none. Ranks are numbered node by node.
struct Resources {
  std::int64_t nodes = 1;
  std::optional<std::int64_t> ranks_per_node;  // not given: one a GPU, or one where there are none
  std::int64_t gpus = 0;                       // of each node
  std::int64_t cpus = 1;                       // of each rank
  ByteSize memory;                             // of each rank; 0: no limit, no reservation
  std::optional<std::int64_t> nodes_min;  // begins on so many, grows to `nodes`; not given: exactly `nodes`
  std::string gpu_kind;                   // a part of the model's name; "": any
  ByteSize gpu_memory;                    // of each GPU, at least
  std::map<std::string, std::string> labels;  // that a node must have; value "": whatever it is
  std::map<std::string, std::string> avoid;   // that it must not have
  std::string apart;                          // jobs of a graph with the same text share no node
  bool operator==(const Resources&) const = default;

  std::int64_t ranks_on_a_node() const { return ranks_per_node.value_or(gpus > 0 ? gpus : 1); }
  std::int64_t ranks() const { return nodes * ranks_on_a_node(); }
};

// Failed attempts that are followed by another. Lost nodes and polite stops do not count.
struct Retry {
  std::int64_t limit = 2;
  Millis backoff = std::chrono::seconds(10);  // before the second attempt
  double factor = 2.0;  // each later pause is this much longer, up to limits::kBackoffMax
  std::vector<std::string> not_on = {"time_limit"};  // classes of failure that are not followed by another
  bool operator==(const Retry&) const = default;
};

// What it waits for in the jobs it needs: success, failure or always (scheduler/edges.h).
struct Edges {
  std::string others = "success";         // where `of` does not say
  std::map<std::string, std::string> of;  // by need
  bool operator==(const Edges&) const = default;

  const std::string& of_need(const std::string& need) const {
    const auto found = of.find(need);
    return found == of.end() ? others : found->second;
  }
};

// Each a reference to an artifact. A job whose condition does not hold is skipped, which is no failure.
struct Condition {
  std::optional<std::string> made;
  std::optional<std::string> not_made;
  bool operator==(const Condition&) const = default;
};

struct JobSpec {
  std::string name;
  std::string kind;                // one of job_kinds.h
  std::vector<std::string> needs;  // with those that its references imply
  Json with = Json::object();      // options of the kind, resolved; `${job.artifact}` still in them
  Resources resources;
  Retry retry;
  Millis grace = std::chrono::seconds(30);  // between SIGTERM and SIGKILL
  std::vector<std::string> command;         // kind "command" only
  std::map<std::string, std::string> environment;
  Edges on;
  Condition condition;
  std::optional<Millis> time_limit;  // of each attempt
  bool preemptible = false;          // may be asked to make room; not given: if its kind saves its work
  bool cache = true;                 // false: is run though its result is there, and shares it with nobody
  bool operator==(const JobSpec&) const = default;
};

// When a graph is run by itself, again and again.
struct GraphSchedule {
  std::string cron;                // cron.h
  std::string tz = "UTC";          // a name of the IANA database
  std::string missed = "latest";   // skip, latest, all: times at which no coordinator ran
  std::string overlap = "skip";    // skip, queue, replace: when the run before still goes
  std::optional<Millis> deadline;  // how late a run may begin; not given: as late as it likes
  bool operator==(const GraphSchedule&) const = default;
};

struct GraphSpec {
  std::string name;
  std::string tenant = "default";
  std::int64_t priority = 0;  // more is sooner
  std::vector<JobSpec> jobs;  // as submitted
  std::optional<GraphSchedule> schedule = {};
  bool operator==(const GraphSpec&) const = default;
};

// All keys of a job but its name; what the YAML under `jobs.NAME` may hold.
const OptionTable<JobSpec>& job_table();
// What may stand under `schedule`.
const OptionTable<GraphSchedule>& graph_schedule_table();

// Canonical JSON, the name included, and back. kCorrupt: not what to_json() wrote (a newer version, a damaged
// journal).
Json to_json(const JobSpec& job);
// The same without defaults, which job_from_json() puts back.
Json changed_json(const JobSpec& job);
Result<JobSpec> job_from_json(const Json& json);
Json to_json(const GraphSpec& graph);
Result<GraphSpec> graph_from_json(const Json& json);

// Names of jobs that need each other in a circle, the first repeated at the end; empty when there is none.
// Needs that name no job of the graph are passed over.
std::vector<std::string> find_cycle(const std::vector<JobSpec>& jobs);

}  // namespace paddock::spec
