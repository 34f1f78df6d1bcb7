#include "scheduler/schedule.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include "base/check.h"
#include "base/limits.h"
#include "base/planted_bug.h"
#include "scheduler/sentence.h"
#include "scheduler/submission.h"

namespace paddock::scheduler {
namespace {

Schedule* find_schedule(Cluster& cluster, const std::string& name) {
  const auto found = cluster.schedules.find(name);
  return found == cluster.schedules.end() ? nullptr : &found->second;
}

void remember(Schedule& schedule, ScheduleRun run) {
  auto& history = schedule.history;
  if (run.graph == GraphId() && !history.empty() && history.back().graph == GraphId() &&
      history.back().note == run.note) {
    run.times += history.back().times;
    history.back() = std::move(run);
    return;
  }
  history.push_back(std::move(run));
  if (history.size() > kRunsRememberedMax) history.erase(history.begin());
}

void pass_over(Schedule& schedule, WallTime time, const std::string& why, std::uint64_t times = 1) {
  schedule.passed_over += times;
  remember(schedule, {time, GraphId(), why, times});
}

bool is_too_late(const ScheduleRule& rule, WallTime time, WallTime now) {
  return rule.deadline > Millis(0) && now.unix_ms - time.unix_ms > rule.deadline.count();
}

void start_run(Step& step, Schedule& schedule, const WaitingRun& run) {
  if (step.cluster.tokens.contains(run.token))
    return pass_over(schedule, run.time, "it was run before, by an earlier schedule of that name");
  const GraphId id{step.cluster.next_graph};
  schedule.going.insert(id);
  ++schedule.runs;
  remember(schedule, {run.time, id, "", 1});
  submit_graph(step, {schedule.name, schedule.priority, run.token, schedule.jobs, schedule.tenant},
               {schedule.name, run.time});
  PADDOCK_CHECK(find_graph(step.cluster, id) != nullptr, id);
}

// As many of those that wait as may go: one, if none goes.
void start_waiting(Step& step, Schedule& schedule) {
  while (!schedule.is_paused && schedule.going.empty() && !schedule.waiting.empty()) {
    const WaitingRun run = schedule.waiting.front();
    schedule.waiting.erase(schedule.waiting.begin());
    if (is_too_late(schedule.rule, run.time, step.at.wall)) {
      pass_over(schedule, run.time,
                "it waited for the run before, and could not begin within " +
                    show_duration(schedule.rule.deadline));
    } else {
      start_run(step, schedule, run);
    }
  }
}

std::string going_text(const Schedule& schedule) {
  return "graph " + std::to_string(schedule.going.begin()->value);
}

// Those that go are cancelled for the one that waits.
void make_way(Step& step, const Schedule& schedule) {
  const std::string why = "the run of " + show_utc(schedule.waiting.back().time) + " takes its place";
  for (const GraphId id : std::set(schedule.going)) cancel_graph(step, id, why);
}

// A run whose time has come, by the overlap rule.
void take_turn(Step& step, Schedule& schedule, WaitingRun run) {
  if (schedule.going.empty() && schedule.waiting.empty() && !schedule.is_paused)
    return start_run(step, schedule, run);
  switch (schedule.rule.overlap) {
    case Overlap::kSkip:
      return pass_over(schedule, run.time,
                       schedule.going.empty() ? "it is paused"
                                              : "the run before, " + going_text(schedule) + ", still goes");
    case Overlap::kQueue:
      if (schedule.waiting.size() >= limits::kWaitingRunsMax)
        return pass_over(schedule, run.time,
                         std::to_string(limits::kWaitingRunsMax) + " runs wait for the one before already");
      schedule.waiting.push_back(std::move(run));
      break;
    case Overlap::kReplace:
      for (const WaitingRun& older : std::exchange(schedule.waiting, {}))
        pass_over(schedule, older.time, "the next run has taken its place");
      schedule.waiting.push_back(std::move(run));
      // While it is paused nothing would take the place of what is cancelled.
      if (!schedule.is_paused || step.cluster.rules < 4) make_way(step, schedule);
      break;
  }
  start_waiting(step, schedule);
}

}  // namespace

std::string_view name_of(Missed missed) {
  switch (missed) {
    case Missed::kSkip:
      return "skip";
    case Missed::kLatest:
      return "latest";
    case Missed::kAll:
      return "all";
  }
  PADDOCK_CHECK(false, static_cast<int>(missed));
  return {};
}

std::string_view name_of(Overlap overlap) {
  switch (overlap) {
    case Overlap::kSkip:
      return "skip";
    case Overlap::kQueue:
      return "queue";
    case Overlap::kReplace:
      return "replace";
  }
  PADDOCK_CHECK(false, static_cast<int>(overlap));
  return {};
}

std::string_view name_of(Steer what) {
  switch (what) {
    case Steer::kPause:
      return "pause";
    case Steer::kResume:
      return "resume";
    case Steer::kRemove:
      return "remove";
  }
  PADDOCK_CHECK(false, static_cast<int>(what));
  return {};
}

std::string show_utc(WallTime at) {
  const std::chrono::sys_seconds time{std::chrono::floor<std::chrono::seconds>(Millis(at.unix_ms))};
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02ld:%02ld:%02ldZ", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<long>(clock.hours().count()), static_cast<long>(clock.minutes().count()),
                static_cast<long>(clock.seconds().count()));
  return text.data();
}

std::string token_of_run(const std::string& schedule, WallTime time) {
  return schedule + "@" + show_utc(time);
}

namespace {

// As a line of the schedule's history, beside the time.
std::string why_missed(const Schedule& schedule, bool is_too_late) {
  const Missed missed = schedule.rule.missed;
  const std::string rule = is_too_late                 ? "its deadline has passed"
                           : missed == Missed::kSkip   ? "`missed: skip` makes up for none"
                           : missed == Missed::kLatest ? "`missed: latest` makes up for the newest only"
                                                       : "only the newest are made up for";
  return "no coordinator began it then (none ran, its disk was full, or its clock jumped), and " + rule +
         "; `paddock schedule run-now " + schedule.name + "` runs it now";
}

}  // namespace

ScheduleDue settle(const Schedule& schedule, const std::vector<WallTime>& times, WallTime now) {
  ScheduleDue due{schedule.name, now, {}, 0, {}, ""};
  std::vector<WallTime> in_time;
  const auto pass = [&](WallTime time, bool is_too_late) {
    ++due.passed_over;
    due.newest_passed_over = time;
    due.why = why_missed(schedule, is_too_late);
  };
  for (const WallTime time : times) {
    if (is_too_late(schedule.rule, time, now))
      pass(time, true);
    else
      in_time.push_back(time);
  }
  const auto is_missed = [&](WallTime time) { return now.unix_ms - time.unix_ms > kMissedAfter.count(); };
  const auto first_on_time = static_cast<std::size_t>(std::ranges::count_if(in_time, is_missed));
  std::size_t first = 0;  // that runs
  if (schedule.rule.missed == Missed::kSkip) first = first_on_time;
  if (schedule.rule.missed == Missed::kLatest && first_on_time > 0) first = in_time.size() - 1;
  if (schedule.rule.missed == Missed::kAll && in_time.size() > limits::kMissedRunsMax)
    first = in_time.size() - limits::kMissedRunsMax;
  for (std::size_t i = 0; i < in_time.size(); ++i) {
    if (i < first)
      pass(in_time[i], false);
    else
      due.run.push_back(in_time[i]);
  }
  return due;
}

void set_schedule(Step& step, const ScheduleSet& event) {
  if (!check_graph(event.graph.name, event.graph.jobs)) return;
  Schedule* known = find_schedule(step.cluster, event.graph.name);
  if (known != nullptr && known->tenant != event.graph.tenant) return;
  Schedule& schedule = step.cluster.schedules[event.graph.name];
  if (known == nullptr) {
    for (const auto& [id, graph] : step.cluster.graphs) {  // runs of one that was removed
      const bool is_its = graph.schedule == event.graph.name &&
                          (graph.tenant == event.graph.tenant || step.cluster.rules < 4);
      if (is_its && graph.state == GraphState::kActive) schedule.going.insert(id);
    }
  }
  schedule.name = event.graph.name;
  schedule.tenant = event.graph.tenant;
  schedule.priority = event.graph.priority;
  schedule.jobs = event.graph.jobs;
  schedule.token = event.graph.token;
  schedule.rule = event.rule;
  schedule.settled_until = std::max(schedule.settled_until, step.at.wall);
}

void take_due(Step& step, const ScheduleDue& event) {
  Schedule* schedule = find_schedule(step.cluster, event.schedule);
  if (schedule == nullptr || event.until <= schedule->settled_until) return;
  schedule->settled_until = event.until;
  if (event.passed_over > 0 && !is_planted(PlantedBug::kForgetTime))
    pass_over(*schedule, event.newest_passed_over, event.why, event.passed_over);
  for (const WallTime time : event.run)
    take_turn(step, *schedule, {time, token_of_run(schedule->name, time)});
}

void steer_schedule(Step& step, const ScheduleSteered& event) {
  Schedule* schedule = find_schedule(step.cluster, event.schedule);
  if (schedule == nullptr) return;
  switch (event.what) {
    case Steer::kPause:
      schedule->is_paused = true;
      return;
    case Steer::kResume:
      if (!schedule->is_paused) return;
      schedule->is_paused = false;
      schedule->settled_until = std::max(schedule->settled_until, step.at.wall);
      if (schedule->rule.overlap == Overlap::kReplace && !schedule->waiting.empty() &&
          step.cluster.rules >= 4)
        make_way(step, *schedule);
      return start_waiting(step, *schedule);
    case Steer::kRemove:
      step.cluster.schedules.erase(event.schedule);
      return;
  }
}

void run_schedule_now(Step& step, const ScheduleRunAsked& event) {
  Schedule* schedule = find_schedule(step.cluster, event.schedule);
  if (schedule == nullptr || step.cluster.tokens.contains(event.token) ||
      std::ranges::find(schedule->waiting, event.token, &WaitingRun::token) != schedule->waiting.end())
    return;
  const WaitingRun run{step.at.wall, event.token};
  if (schedule->going.empty() && schedule->waiting.empty()) return start_run(step, *schedule, run);
  take_turn(step, *schedule, run);
}

void note_run_ended(Step& step, const Graph& graph) {
  if (graph.schedule.empty()) return;
  Schedule* schedule = find_schedule(step.cluster, graph.schedule);
  if (schedule == nullptr || schedule->going.erase(graph.id) == 0) return;
  for (ScheduleRun& run : schedule->history) {
    if (run.graph == graph.id) run.note = name_of(graph.state);
  }
  start_waiting(step, *schedule);
}

}  // namespace paddock::scheduler
