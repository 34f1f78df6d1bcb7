#include "scheduler/graph.h"

#include <algorithm>
#include <optional>
#include <set>

#include "base/check.h"
#include "base/limits.h"
#include "scheduler/failure.h"

namespace paddock::scheduler {

bool is_terminal(JobState state) {
  return state == JobState::kSucceeded || state == JobState::kFailed || state == JobState::kCancelled ||
         state == JobState::kSkipped;
}

std::array<std::uint32_t, kJobStates> count_states(const Graph& graph) {
  std::array<std::uint32_t, kJobStates> counts{};
  for (const auto& [name, job] : graph.jobs) {
    const auto state = static_cast<std::size_t>(job.state);
    if (state < counts.size()) ++counts[state];  // a damaged record may say anything
  }
  return counts;
}

std::string_view name_of(JobState state) {
  switch (state) {
    case JobState::kWaiting:
      return "waiting";
    case JobState::kPreparing:
      return "preparing";
    case JobState::kQueued:
      return "queued";
    case JobState::kRunning:
      return "running";
    case JobState::kBackingOff:
      return "backing_off";
    case JobState::kSucceeded:
      return "succeeded";
    case JobState::kFailed:
      return "failed";
    case JobState::kCancelled:
      return "cancelled";
    case JobState::kSkipped:
      return "skipped";
  }
  PADDOCK_CHECK(false, static_cast<int>(state));
  return {};
}

std::string_view name_of(GraphState state) {
  switch (state) {
    case GraphState::kActive:
      return "active";
    case GraphState::kSucceeded:
      return "succeeded";
    case GraphState::kFailed:
      return "failed";
    case GraphState::kCancelled:
      return "cancelled";
  }
  PADDOCK_CHECK(false, static_cast<int>(state));
  return {};
}

std::string_view name_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::kRunning:
      return "running";
    case Outcome::kSucceeded:
      return "succeeded";
    case Outcome::kFailed:
      return "failed";
    case Outcome::kStopped:
      return "stopped";
    case Outcome::kNodeLost:
      return "node_lost";
    case Outcome::kCancelled:
      return "cancelled";
    case Outcome::kTimedOut:
      return "timed_out";
    case Outcome::kPreempted:
      return "preempted";
  }
  PADDOCK_CHECK(false, static_cast<int>(outcome));
  return {};
}

namespace {

// Bounds that keep every product and sum of resources.h far from overflow.
constexpr std::uint32_t kPerRankMax = 1u << 20;
constexpr std::uint64_t kMemoryBytesMax = std::uint64_t{1} << 50;

Result<void> check_job(const JobRequest& job) {
  const std::string where = "job " + job.name.value;
  const Request& asked = job.resources;
  if (!is_name(job.name.value)) {
    return fail(Code::kInvalid,
                "'" + job.name.value + "' is no name for a job: letters, digits and ._- only");
  }
  if (asked.nodes < 1 || asked.ranks_per_node < 1 ||
      std::uint64_t{asked.nodes} * asked.ranks_per_node > limits::kRanksPerAttemptMax) {
    return fail(Code::kInvalid, where + ": nodes × ranks_per_node must be within 1 and " +
                                    std::to_string(limits::kRanksPerAttemptMax));
  }
  if (asked.nodes_min > asked.nodes) {
    return fail(Code::kInvalid,
                where + ": nodes_min must be at most nodes (" + std::to_string(asked.nodes) + ")");
  }
  if (asked.cpus_per_rank > kPerRankMax || asked.gpus_per_rank > kPerRankMax ||
      asked.memory_bytes_per_rank > kMemoryBytesMax) {
    return fail(Code::kInvalid, where + ": no node has so many resources, ask for less");
  }
  const RetryRule& retry = job.retry;
  if (retry.limit < 0 || retry.limit > limits::kRetriesMax || retry.backoff < Millis(0) ||
      retry.backoff > limits::kBackoffMax || retry.factor_permille < 1'000 ||
      retry.factor_permille > 1'000'000) {
    return fail(Code::kInvalid, where + ": retry needs a limit within 0 and " +
                                    std::to_string(limits::kRetriesMax) +
                                    ", a backoff of at most an hour and a factor within 1 and 1000");
  }
  for (const std::string& each : retry.not_on) {
    if (!is_failure_class(each))
      return fail(Code::kInvalid, where + ": '" + each + "' is no class of failure");
  }
  if (job.grace < Millis(0) || job.grace > limits::kBackoffMax) {
    return fail(Code::kInvalid, where + ": the grace period must be within 0 and one hour");
  }
  if (job.time_limit < Millis(0) || job.time_limit > limits::kTimeLimitMax) {
    return fail(Code::kInvalid, where + ": the time limit must be within 0 and 1000 days");
  }
  return {};
}

// The jobs of a submission by name.
class Names {
 public:
  explicit Names(const std::vector<JobRequest>& jobs) : jobs_(jobs) {
    for (std::uint32_t i = 0; i < jobs.size(); ++i) sorted_.push_back(i);
    std::ranges::sort(sorted_, {}, [&](std::uint32_t i) -> const JobName& { return jobs[i].name; });
  }
  // A name that two jobs have.
  const JobName* doubled() const {
    const auto same = [&](std::uint32_t a, std::uint32_t b) { return jobs_[a].name == jobs_[b].name; };
    const auto found = std::ranges::adjacent_find(sorted_, same);
    return found == sorted_.end() ? nullptr : &jobs_[*found].name;
  }
  // Its place in the submission.
  std::optional<std::uint32_t> find(const JobName& name) const {
    const auto found = std::ranges::lower_bound(
        sorted_, name, {}, [&](std::uint32_t i) -> const JobName& { return jobs_[i].name; });
    if (found == sorted_.end() || jobs_[*found].name != name) return std::nullopt;
    return *found;
  }

 private:
  const std::vector<JobRequest>& jobs_;
  std::vector<std::uint32_t> sorted_;
};

// Takes away, again and again, the jobs whose needs are all taken; what stays is on a cycle or behind one. All needs
// are in the graph.
Result<void> check_acyclic(const std::vector<JobRequest>& jobs, const Names& names) {
  std::vector<std::size_t> unmet(jobs.size());
  std::vector<std::vector<std::uint32_t>> dependants(jobs.size());
  std::vector<std::uint32_t> ready;
  for (std::uint32_t job = 0; job < jobs.size(); ++job) {
    std::set<std::uint32_t> needs;
    for (const JobName& need : jobs[job].needs) needs.insert(*names.find(need));
    unmet[job] = needs.size();
    for (const std::uint32_t need : needs) dependants[need].push_back(job);
    if (needs.empty()) ready.push_back(job);
  }
  std::size_t taken = 0;
  for (; !ready.empty(); ++taken) {
    const std::uint32_t next = ready.back();
    ready.pop_back();
    for (const std::uint32_t dependant : dependants[next]) {
      if (--unmet[dependant] == 0) ready.push_back(dependant);
    }
  }
  if (taken == jobs.size()) return {};
  const auto stuck = std::ranges::find_if(unmet, [](std::size_t left) { return left > 0; });
  const JobName& name = jobs[static_cast<std::size_t>(stuck - unmet.begin())].name;
  return fail(Code::kInvalid, "job " + name.value + " is on a cycle of needs, or behind one");
}

}  // namespace

void share_alike(Graph& graph) {
  const JobRequest* before = nullptr;
  for (auto& [name, job] : graph.jobs) {
    if (before != nullptr) {
      job.request.resources.share_with(before->resources);
      job.request.retry.share_with(before->retry);
    }
    before = &job.request;
  }
}

Result<void> check_graph(std::string_view name, const std::vector<JobRequest>& jobs) {
  if (!is_name(name)) {
    return fail(Code::kInvalid, "'" + std::string(name) +
                                    "' is no name for a graph: letters, digits and ._- only, at most " +
                                    std::to_string(limits::kNameBytesMax));
  }
  if (jobs.empty() || jobs.size() > limits::kJobsPerGraphMax) {
    return fail(Code::kInvalid,
                "a graph has between 1 and " + std::to_string(limits::kJobsPerGraphMax) + " jobs");
  }
  for (const JobRequest& job : jobs) {
    TRY(check_job(job), "checking graph " + std::string(name));
  }
  const Names names(jobs);
  if (const JobName* const doubled = names.doubled()) {
    return fail(Code::kInvalid, "graph " + std::string(name) + " has job " + doubled->value + " twice");
  }
  for (const JobRequest& job : jobs) {
    for (const JobName& need : job.needs) {
      if (!names.find(need)) {
        return fail(Code::kInvalid,
                    "job " + job.name.value + " needs " + need.value + ", which is not in the graph");
      }
    }
    for (const auto& [need, on] : job.on) {
      if (std::ranges::find(job.needs, need) == job.needs.end()) {
        return fail(Code::kInvalid,
                    "job " + job.name.value + " waits on " + need.value + ", which is not among its needs");
      }
    }
  }
  return check_acyclic(jobs, names);
}

}  // namespace paddock::scheduler
