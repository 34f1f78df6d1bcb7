// scheduler/retry.h – whether a job gets another attempt, and after which pause. Threads: pure functions.
#pragma once

#include <optional>

#include "scheduler/graph.h"

namespace paddock::scheduler {

// backoff · factor^(failures - 1), at most limits::kBackoffMax. failures ≥ 1.
Millis backoff_after(const RetryRule& rule, std::int32_t failures);

// The pause before the next attempt of a job whose newest attempt ended with `outcome` (already counted in
// `failures` or `interruptions`); none: it has failed for good.
std::optional<Millis> pause_before_retry(const Job& job, Outcome outcome, bool may_retry);

}  // namespace paddock::scheduler
