// scheduler/priority.h – whose turn it is. Jobs go by priority; of one priority the tenant that has had least
// (fair_share.h) goes first, and its jobs in the order of submission. A class – a tenant's jobs of one priority –
// of which nothing starts for long rises a point a minute, so that a stream of more urgent work cannot hold it
// off for ever. Only placement looks at what it has risen to: it preempts nobody. Threads: pure functions but
// note_…().
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "scheduler/cluster.h"

namespace paddock::scheduler {

inline constexpr Millis kAgePoint = std::chrono::minutes(1);

// The priority of the group's class with what it has risen by.
std::int64_t risen_priority(const Cluster& cluster, const GroupKey& group, Instant now);

// A class begins to wait when its first job is queued, and again when one of its jobs starts; it no longer waits
// when none is queued.
void note_waiting(Cluster& cluster, const std::string& tenant, std::int64_t priority, Instant now);
void note_start(Cluster& cluster, const std::string& tenant, std::int64_t priority, Instant now);
void note_left(Cluster& cluster, const std::string& tenant, std::int64_t priority);

// The groups of one decision, next first. A start changes its tenant's share, so its groups are put in their
// place again; what cannot be placed is dropped for the rest of the decision. While one exists, groups that become
// empty stay in the index, so that it can point to them.
class Turns {
 public:
  Turns(Cluster& cluster, Instant now);
  ~Turns();
  Turns(const Turns&) = delete;
  Turns& operator=(const Turns&) = delete;

  struct Group {
    const GroupKey* key = nullptr;
    const std::set<Queued>* jobs = nullptr;  // not empty when its turn comes
  };

  // Whose turn it is; nullptr: all have been dropped or are empty.
  const Group* next();
  // What puts the one that next() gave before the others that have not been dropped.
  StartReason lead() const;
  // The one that next() gave has to wait, and all of it.
  void drop();
  // The first job of the one that next() gave has started.
  void started();

 private:
  struct Turn {
    std::int64_t minus_priority = 0;
    std::int64_t score = 0;
    GraphId graph;
    std::uint32_t index = 0;  // of the first job in its graph
    std::size_t group = 0;
    auto operator<=>(const Turn&) const = default;
  };

  // Of the group as it is now.
  Turn turn_of(std::size_t group, std::int64_t score) const;

  Cluster& cluster_;
  const Instant now_;
  std::vector<Group> groups_;
  std::vector<std::int64_t> risen_;  // by group
  std::vector<Turn> current_;        // by group: as it stands in turns_
  std::set<Turn> turns_;
  std::map<std::string, std::vector<std::size_t>> of_tenant_;
};

}  // namespace paddock::scheduler
