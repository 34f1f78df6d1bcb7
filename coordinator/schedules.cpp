#include "coordinator/schedules.h"

#include <algorithm>
#include <iterator>
#include <variant>

#include "base/limits.h"

namespace paddock::coordinator {

using scheduler::Schedule;

Result<Schedules::Times> Schedules::times_of(const scheduler::ScheduleRule& rule) {
  TRY_ASSIGN(const spec::Cron cron, spec::parse_cron(rule.cron), "its cron expression");
  TRY_ASSIGN(const spec::TimeZone zone, spec::TimeZone::find(rule.zone), "its time zone");
  return Times{cron, zone};
}

void Schedules::learn(const Schedule& schedule) {
  const auto found = known_.find(schedule.name);
  if (found != known_.end() && found->second.rule == schedule.rule &&
      found->second.settled_until == schedule.settled_until && found->second.is_paused == schedule.is_paused)
    return;
  if (found != known_.end() && found->second.next) order_.erase({*found->second.next, schedule.name});
  const bool is_as_before = found != known_.end() && found->second.rule == schedule.rule;
  Known known{schedule.rule, is_as_before ? found->second.times : times_of(schedule.rule),
              schedule.settled_until, schedule.is_paused, std::nullopt};
  if (!known.times && !is_as_before) {
    log_.error("schedule_not_understood",
               {{"schedule", schedule.name}, {"reason", known.times.error().message}});
  }
  if (known.times && !known.is_paused)
    known.next = known.times->zone.next(known.times->cron, known.settled_until);
  if (known.next) order_.insert({*known.next, schedule.name});
  known_.insert_or_assign(schedule.name, std::move(known));
}

void Schedules::refresh() {
  for (const auto& [name, schedule] : cluster_.schedules) learn(schedule);
  for (auto known = known_.begin(); known != known_.end();) {
    const bool is_there = cluster_.schedules.contains(known->first);
    if (!is_there && known->second.next) order_.erase({*known->second.next, known->first});
    known = is_there ? std::next(known) : known_.erase(known);
  }
}

std::vector<scheduler::What> Schedules::due(WallTime now) const {
  std::vector<scheduler::What> events;
  std::size_t looked_at = 0;
  for (const auto& [first, name] : order_) {
    if (first > now || events.size() == kSchedulesPerTurnMax || looked_at >= kTimesPerTurnMax) break;
    const Known& known = known_.at(name);
    const std::vector<WallTime> times = times_between(*known.times, known.settled_until, now);
    looked_at += times.size();
    events.emplace_back(scheduler::settle(cluster_.schedules.at(name), times, now));
  }
  return events;
}

// Rising, the newest of them: all, or at least as many as may be made up for.
std::vector<WallTime> Schedules::times_between(const Times& times, WallTime settled_until, WallTime now) {
  for (Millis back = kMissedLookedAtMax;; back *= 2) {
    const WallTime from = std::max(settled_until, WallTime{now.unix_ms - back.count()});
    std::vector<WallTime> all;
    for (auto time = times.zone.next(times.cron, from); time && *time <= now;
         time = times.zone.next(times.cron, *time))
      all.push_back(*time);
    if (all.size() >= limits::kMissedRunsMax || from == settled_until) return all;
  }
}

std::optional<WallTime> Schedules::next() const {
  return order_.empty() ? std::nullopt : std::optional(order_.begin()->first);
}

std::optional<WallTime> Schedules::next_of(const Schedule& schedule, WallTime now) const {
  if (schedule.is_paused) return std::nullopt;
  const auto times = times_of(schedule.rule);
  return times ? times->zone.next(times->cron, std::max(now, schedule.settled_until)) : std::nullopt;
}

std::string Schedules::show(const Schedule& schedule, WallTime at) const {
  const auto times = times_of(schedule.rule);
  return times ? times->zone.show(at) : scheduler::show_utc(at);
}

std::string Schedules::obstacle(const Schedule& schedule) const {
  const auto times = times_of(schedule.rule);
  return times ? "" : times.error().message;
}

bool touches_schedules(const scheduler::What& what) {
  return std::holds_alternative<scheduler::ScheduleSet>(what) ||
         std::holds_alternative<scheduler::ScheduleDue>(what) ||
         std::holds_alternative<scheduler::ScheduleSteered>(what);
}

}  // namespace paddock::coordinator
