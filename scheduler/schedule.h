// scheduler/schedule.h – graphs that run by themselves, again and again. When is the coordinator's business, which knows
// time zones and says what is due as ScheduleDue; here is decided what of it runs: what was missed, what overlaps, what
// comes too late. Every run is a graph of its own, submitted under the token name@time, so that it is there once.
//
// Times are wall time, the one thing that is decided by it: what is settled never becomes due again, whatever the clock
// does. Threads: values; functions of the scheduler's own.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "scheduler/graph.h"

namespace paddock::scheduler {

struct Step;

// Of times at which nobody was there to run it.
enum class Missed { kSkip, kLatest, kAll };
// Where the run before still goes.
enum class Overlap { kSkip, kQueue, kReplace };
// What an operator does to it.
enum class Steer { kPause, kResume, kRemove };

std::string_view name_of(Missed missed);
std::string_view name_of(Overlap overlap);
std::string_view name_of(Steer what);

struct ScheduleRule {
  std::string cron;  // opaque here
  std::string zone;
  Missed missed = Missed::kLatest;
  Overlap overlap = Overlap::kSkip;
  Millis deadline{0};  // how late a run may begin; 0: as late as it likes
  bool operator==(const ScheduleRule&) const = default;
};

// A time, and what became of it; or several in a row that were passed over for the same reason.
struct ScheduleRun {
  WallTime time;     // the newest of them
  GraphId graph;     // 0: it was not run
  std::string note;  // how it ended; "": it has not; of one that was not run: why
  std::uint64_t times = 1;
  bool operator==(const ScheduleRun&) const = default;
};

// One that waits for the run before.
struct WaitingRun {
  WallTime time;
  std::string token;
  bool operator==(const WaitingRun&) const = default;
};

inline constexpr std::size_t kRunsRememberedMax = 20;

struct Schedule {
  std::string name;  // of the graph; one of a name
  std::string tenant = kTenantDefault;
  std::int64_t priority = 0;
  std::vector<JobRequest> jobs;
  ScheduleRule rule;
  std::string token;       // of the newest submission
  WallTime settled_until;  // of all times up to this it is settled what becomes of them
  bool is_paused = false;
  std::vector<WaitingRun> waiting;   // oldest first
  std::set<GraphId> going;           // its runs that have not ended
  std::vector<ScheduleRun> history;  // newest last
  std::uint64_t runs = 0;            // that were due, and started
  std::uint64_t passed_over = 0;     // that were due, and not
  bool operator==(const Schedule&) const = default;
};

struct ScheduleSet;
struct ScheduleDue;
struct ScheduleSteered;
struct ScheduleRunAsked;
struct Cluster;

// Later than this a time was missed.
inline constexpr Millis kMissedAfter = std::chrono::minutes(1);

// What the times (rising, all after settled_until, up to `now`) come to. The event settles them.
ScheduleDue settle(const Schedule& schedule, const std::vector<WallTime>& times, WallTime now);

// "2026-11-28T02:00:00Z"
std::string show_utc(WallTime at);
std::string token_of_run(const std::string& schedule, WallTime time);

void set_schedule(Step& step, const ScheduleSet& event);
void take_due(Step& step, const ScheduleDue& event);
void steer_schedule(Step& step, const ScheduleSteered& event);
void run_schedule_now(Step& step, const ScheduleRunAsked& event);

// The graph has ended: if it was a schedule's run, the next one that waits may go.
void note_run_ended(Step& step, const Graph& graph);

}  // namespace paddock::scheduler
