#include "scheduler/retry.h"

#include <algorithm>

#include "base/limits.h"

namespace paddock::scheduler {
namespace {

// What a node did to a job is not the job's fault: it starts again soon, but a cluster that keeps failing is
// not hammered.
const RetryRule kAfterInterruption{limits::kRetriesMax, Millis(1'000), 2'000};
constexpr Millis kInterruptionPauseMax{60'000};

}  // namespace

Millis backoff_after(const RetryRule& rule, std::int32_t failures) {
  std::int64_t pause_ms = rule.backoff.count();
  for (std::int32_t i = 1;
       i < failures && pause_ms < limits::kBackoffMax.count() && rule.factor_permille > 1'000; ++i) {
    pause_ms = pause_ms * rule.factor_permille / 1'000;
  }
  return Millis(std::min<std::int64_t>(pause_ms, limits::kBackoffMax.count()));
}

std::optional<Millis> pause_before_retry(const Job& job, Outcome outcome, bool may_retry) {
  if (!may_retry || job.attempts.size() > static_cast<std::size_t>(limits::kRetriesMax)) return std::nullopt;
  switch (outcome) {
    case Outcome::kFailed:
    case Outcome::kTimedOut:
      if (job.failures > job.request.retry->limit) return std::nullopt;
      return backoff_after(job.request.retry, job.failures);
    case Outcome::kPreempted:
      return Millis(0);  // whoever it made room for comes first anyway
    case Outcome::kStopped:
    case Outcome::kNodeLost:
      return std::min(backoff_after(kAfterInterruption, job.interruptions), kInterruptionPauseMax);
    case Outcome::kRunning:
    case Outcome::kSucceeded:
    case Outcome::kCancelled:
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace paddock::scheduler
