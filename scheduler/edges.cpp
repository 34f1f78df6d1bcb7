#include "scheduler/edges.h"

#include "base/check.h"

namespace paddock::scheduler {

On edge_of(const JobRequest& job, const JobName& need) {
  const auto found = job.on.find(need);
  return found == job.on.end() ? On::kSuccess : found->second;
}

EdgeState state_of(On on, const Job& need) {
  if (!is_terminal(need.state)) return EdgeState::kOpen;
  const bool has_failed =
      need.state == JobState::kFailed || (need.state == JobState::kSkipped && is_bad(need));
  const bool holds = on == On::kAlways || (on == On::kSuccess && need.state == JobState::kSucceeded) ||
                     (on == On::kFailure && has_failed);
  return holds ? EdgeState::kHolds : EdgeState::kBroken;
}

bool is_bad(const Job& job) {
  return job.state == JobState::kFailed || job.state == JobState::kCancelled ||
         (job.state == JobState::kSkipped && job.has_failed_need);
}

std::string_view name_of(On on) {
  switch (on) {
    case On::kSuccess:
      return "success";
    case On::kFailure:
      return "failure";
    case On::kAlways:
      return "always";
  }
  PADDOCK_CHECK(false, static_cast<int>(on));
  return {};
}

}  // namespace paddock::scheduler
