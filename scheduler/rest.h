// scheduler/rest.h – the part of the queue that a decision does not come to. A decision is short however long the queue is, so it
// tries no more than so many jobs in vain (backfill.h, priority.h); what lies behind those is looked through bit by bit, a bit
// with each decision and one a second when nothing else happens: by tenant, priority (the highest first) and order of submission, which stay
// as they are while shares and priorities go up and down. So no job that fits waits for ever behind jobs that do not.
// Threads: values.
#pragma once

#include <cstdint>
#include <limits>

#include "base/time.h"
#include "scheduler/groups.h"

namespace paddock::scheduler {

// So many kinds of jobs of the rest are tried in vain with one decision, and so many groups looked at.
inline constexpr std::size_t kRestTriedMax = 500;
inline constexpr std::size_t kRestPassedMax = 2'500;
inline constexpr Millis kRestPause = std::chrono::seconds(1);

struct Rest {
  // The next that is looked at is of this class, or of the one after it; at first of the first.
  ClassKey key{"", std::numeric_limits<std::int64_t>::max()};
  Groups::First from{};   // and does not begin before this
  bool is_again = false;  // something has changed since: what was looked at is looked at once more
  bool is_due = false;    // its time has come, and no decision since
  Instant due_at{};
  bool operator==(const Rest&) const = default;
};

// The class of this key, or the first after it: tenants by name, of each the highest priority first.
Groups::Classes::const_iterator class_from(const Groups::Classes& classes, const ClassKey& key);

}  // namespace paddock::scheduler
