// coordinator/schedules.h – when the schedules of the cluster come due: cron and time zones (jobs/spec/cron.h) over what the
// scheduler knows of them (scheduler/schedule.h). It asks no clock: the turn says what time it is. What of this is due is
// journaled as an event, so a replay needs no time zones, and another version of them changes nothing that has happened.
// Threads: the coordinator's own.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "jobs/spec/cron.h"
#include "scheduler/cluster.h"
#include "scheduler/event.h"

namespace paddock::coordinator {

// How far back missed times are looked for at first: of a month's minutes it takes some milliseconds. Where that finds fewer
// than may be made up for it is looked twice as far, and again, so that one that comes once a year is not forgotten.
inline constexpr Millis kMissedLookedAtMax = std::chrono::hours(24 * 31);
// So many schedules are settled in a turn, and of them so many times looked at; the rest in the next, at once.
inline constexpr std::size_t kSchedulesPerTurnMax = 100;
inline constexpr std::size_t kTimesPerTurnMax = 100'000;

class Schedules {
 public:
  // Neither is owned; both outlive this.
  Schedules(const scheduler::Cluster& cluster, const Log& log) : cluster_(cluster), log_(log) {}

  // After any event that touches a schedule, and at the start.
  void refresh();
  // ScheduleDue for the schedules whose time has come, those first that have been due longest; next() is past while there are
  // more than fit a turn.
  std::vector<scheduler::What> due(WallTime now) const;
  // When the next one comes due.
  std::optional<WallTime> next() const;

  // When the schedule comes next, as `now` is; nothing: never, or it is paused.
  std::optional<WallTime> next_of(const scheduler::Schedule& schedule, WallTime now) const;
  // As its time zone says it; UTC where that is not known.
  std::string show(const scheduler::Schedule& schedule, WallTime at) const;
  // Why it does not run at all; "": it does.
  std::string obstacle(const scheduler::Schedule& schedule) const;

 private:
  struct Times {
    spec::Cron cron;
    spec::TimeZone zone;
  };
  struct Known {
    scheduler::ScheduleRule rule;
    Result<Times> times;
    WallTime settled_until;
    bool is_paused = false;
    std::optional<WallTime> next;
  };

  static std::vector<WallTime> times_between(const Times& times, WallTime settled_until, WallTime now);
  static Result<Times> times_of(const scheduler::ScheduleRule& rule);
  void learn(const scheduler::Schedule& schedule);

  const scheduler::Cluster& cluster_;
  const Log& log_;
  std::map<std::string, Known> known_;
  std::set<std::pair<WallTime, std::string>> order_;  // exactly the known ones that have a next time
};

// Whether the event changes when a schedule comes due.
bool touches_schedules(const scheduler::What& what);

}  // namespace paddock::coordinator
