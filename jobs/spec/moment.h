// jobs/spec/moment.h – a moment as people write it. Threads: pure functions but for the machine's own time zone.
#pragma once

#include <optional>
#include <string>

#include "base/time.h"

namespace paddock::spec {

// "now", "+2h", "2026-12-01T08:00", "2026-12-01T08:00:30+01:00", "2026-12-01T07:00Z"; without an offset it is this machine's
// local time. Nothing: it is none of these.
std::optional<WallTime> parse_moment(const std::string& text, WallTime now);

}  // namespace paddock::spec
