// scheduler/priority.h – whose turn it is. Jobs go by priority; of one priority the tenant that has had least
// (fair_share.h) goes first, and its jobs in the order of submission. A class – a tenant's jobs of one priority –
// of which nothing starts for long rises a point a minute, so that a stream of more urgent work cannot hold it
// off for ever. Only placement looks at what it has risen to: it preempts nobody. Threads: pure functions but
// note_…().
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "scheduler/cluster.h"

namespace paddock::scheduler {

inline constexpr Millis kAgePoint = std::chrono::minutes(1);

// Of a class so many groups are looked at in vain in one decision, so that nobody who asks for a thousand things that are not
// to be had keeps the others from being looked at (as bf_max_job_user of Slurm).
inline constexpr std::size_t kGroupsInVainMax = 100;

// The priority of the class with what it has risen by.
std::int64_t risen_priority(const Cluster& cluster, const ClassKey& key, Instant now);

// A class begins to wait when its first job is queued, and again when one of its jobs starts; it no longer waits
// when none is queued.
void note_waiting(Cluster& cluster, const std::string& tenant, std::int64_t priority, Instant now);
void note_start(Cluster& cluster, const std::string& tenant, std::int64_t priority, Instant now);
void note_left(Cluster& cluster, const std::string& tenant, std::int64_t priority);

// The groups of one decision, next first, found as they are asked for: a decision that ends early has not looked at the
// rest. A start changes its tenant's share, so its classes are put in their place again; a group that cannot be placed
// is dropped for the rest of the decision. While one exists, classes that become empty stay in the index.
class Turns {
 public:
  Turns(Cluster& cluster, Instant now);
  ~Turns();
  Turns(const Turns&) = delete;
  Turns& operator=(const Turns&) = delete;

  struct Group {
    const ClassKey* key = nullptr;   // nullptr: all have been dropped or are empty
    const Tenant* tenant = nullptr;  // nullptr: it has run nothing and has no quota
    std::uint32_t shape = 0;         // its number in Groups
    const Groups::Class* its = nullptr;

    const Queued& first() const { return *its->jobs.at(shape).begin(); }
  };

  // Whose turn it is.
  Group next();
  // Some are not to be looked at in this decision: kGroupsInVainMax.
  bool has_left_out() const { return has_left_out_; }
  // The risen priority of the one that next() gave.
  std::int64_t risen() const { return -standings_[turns_.begin()->standing].minus_risen; }
  // What puts the one that next() gave before the others that have not been dropped.
  StartReason lead() const;
  // The one that next() gave has to wait, and all of it.
  void drop();
  // The first job of the one that next() gave has started, and works on `stage`.
  void started(const std::string& stage);

 private:
  struct Standing {
    std::int64_t minus_risen = 0;
    const ClassKey* key = nullptr;
    const Groups::Class* groups = nullptr;
    const Tenant* tenant = nullptr;
    std::map<Groups::First, std::uint32_t>::const_iterator at;  // the first that is not dropped
    Groups::First from;                                         // groups before are dropped
    std::vector<std::uint32_t> dropped;                         // shapes of those
  };
  struct Turn {
    std::int64_t score = 0;
    Groups::First first;
    std::size_t standing = 0;
    auto operator<=>(const Turn&) const = default;
  };

  // Lets those take part that have risen highest of the rest.
  void let_in();
  // Puts it into turns_ unless it is used up.
  void enter(std::size_t standing, std::int64_t score);
  // Finds `at` again, after a start.
  void look_again(Standing& standing) const;
  void skip_dropped(Standing& standing) const;
  std::int64_t score(const Standing& standing) const;

  Cluster& cluster_;
  const Instant now_;
  bool has_tenants_ = false;  // more than one: else there is no share to compare
  bool has_dropped_ = false;
  bool has_left_out_ = false;
  bool may_come_back_ = false;       // others wait for one that has started: groups have other first jobs
  std::vector<Standing> standings_;  // by what they have risen to
  std::size_t next_in_ = 0;          // from there on they have not been let in
  std::set<Turn> turns_;             // of those that have risen alike
};

}  // namespace paddock::scheduler
