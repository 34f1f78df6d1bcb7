// scheduler/failure.h – what kind of failure the end of a rank is, and whether its owner wants another attempt
// after it. Classes, as in `retry.not_on`: time_limit, out_of_memory, signal, exit (any code but 0), exit:N.
// Exit code 2 means wrong options: never another. Threads: pure functions.
#pragma once

#include <string>
#include <vector>

#include "scheduler/event.h"

namespace paddock::scheduler {

// From the narrower to the wider: {"exit:3", "exit"}.
std::vector<std::string> classes_of(const RankEnded& ended);

bool may_retry_after(const RetryRule& rule, const RankEnded& ended);

// The classes that `retry.not_on` may name; exit:N is checked by its form.
bool is_failure_class(const std::string& text);

}  // namespace paddock::scheduler
