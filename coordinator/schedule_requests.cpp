// The requests about schedules. Part of Requests (requests.h).
#include <algorithm>
#include <array>
#include <utility>

#include "base/limits.h"
#include "coordinator/requests.h"

namespace paddock::coordinator {
namespace {

using scheduler::Schedule;

template <typename Enum, std::size_t N>
Enum by_name(const std::string& name, const std::array<Enum, N>& all) {
  const auto found =
      std::ranges::find(all, name, [](Enum each) { return std::string(scheduler::name_of(each)); });
  return found == all.end() ? all.front() : *found;  // not reached: the spec has checked it
}

scheduler::ScheduleRule rule_of(const spec::GraphSchedule& spec) {
  using scheduler::Missed;
  using scheduler::Overlap;
  return {spec.cron, spec.tz, by_name(spec.missed, std::array{Missed::kSkip, Missed::kLatest, Missed::kAll}),
          by_name(spec.overlap, std::array{Overlap::kSkip, Overlap::kQueue, Overlap::kReplace}),
          spec.deadline.value_or(Millis(0))};
}

void write_schedule(wire::Schedule::Builder to, const Schedule& schedule) {
  to.setName(schedule.name);
  to.setTenant(schedule.tenant);
  to.setCron(schedule.rule.cron);
  to.setTz(schedule.rule.zone);
  to.setMissed(std::string(scheduler::name_of(schedule.rule.missed)));
  to.setOverlap(std::string(scheduler::name_of(schedule.rule.overlap)));
  to.setDeadlineMs(static_cast<std::uint64_t>(schedule.rule.deadline.count()));
  to.setPaused(schedule.is_paused);
  to.setRuns(schedule.runs);
  to.setPassedOver(schedule.passed_over);
  auto waiting = to.initWaiting(static_cast<unsigned>(schedule.waiting.size()));
  for (unsigned i = 0; i < waiting.size(); ++i) waiting.set(i, schedule.waiting[i].time.unix_ms);
  auto history = to.initHistory(static_cast<unsigned>(schedule.history.size()));
  for (unsigned i = 0; i < history.size(); ++i) {
    history[i].setTimeUnixMs(schedule.history[i].time.unix_ms);
    history[i].setGraph(schedule.history[i].graph.value);
    history[i].setNote(schedule.history[i].note);
    history[i].setTimes(schedule.history[i].times);
  }
}

}  // namespace

Result<const Schedule*> Requests::find_schedule(const Asker& asker, const std::string& name) const {
  const auto found = from_.cluster.schedules.find(name);
  if (found == from_.cluster.schedules.end())
    return fail(Code::kNotFound, "there is no schedule " + name + "; `paddock schedules` lists them");
  if (!reaches(asker.requester, asker.reach, found->second.tenant)) {
    return fail(Code::kDenied, "schedule " + name + " belongs to another tenant than the key of " +
                                   asker.requester.grant.name);
  }
  return &found->second;
}

Result<void> Requests::set_schedule(const Asker& asker, const spec::GraphSchedule& schedule,
                                    scheduler::GraphSubmitted submitted, Turn& turn) {
  const auto known = from_.cluster.schedules.find(submitted.name);
  const bool is_new = known == from_.cluster.schedules.end();
  if (!is_new && known->second.tenant != submitted.tenant) {
    return fail(Code::kConflict, "schedule " + submitted.name + " belongs to tenant " + known->second.tenant +
                                     ": choose another name, or have it removed first");
  }
  if (is_new && from_.cluster.schedules.size() >= limits::kSchedulesMax) {
    return fail(Code::kExhausted, "there are " + std::to_string(limits::kSchedulesMax) +
                                      " schedules already; remove one (`paddock schedule remove`)");
  }
  const std::string name = submitted.name;
  const std::string token = submitted.token;
  if (is_new || known->second.token != token)
    turn.events.emplace_back(scheduler::ScheduleSet{std::move(submitted), rule_of(schedule)});
  turn.answers.emplace_back([this, asker, name, token] { answer_scheduled(asker, name, token); });
  return {};
}

void Requests::answer_scheduled(const Asker& asker, const std::string& name, const std::string& token) {
  const auto schedule = from_.cluster.schedules.find(name);
  if (schedule == from_.cluster.schedules.end() || schedule->second.token != token) {
    return refuse(
        asker, Error{Code::kConflict,
                     "schedule " + name + " was changed by somebody else at the same moment; submit again"});
  }
  capnp::MallocMessageBuilder builder;
  auto submitted = wire::begin(builder, asker.request_id).initSubmitted();
  submitted.setName(name);
  submitted.setIsSchedule(true);
  if (const auto next = from_.schedules.next_of(schedule->second, from_.clock.wall()))
    submitted.setNextRun(from_.schedules.show(schedule->second, *next));
  answer(asker, builder);
}

Result<void> Requests::schedules(const Asker& asker, const std::string& name) {
  std::vector<const Schedule*> shown;
  if (!name.empty()) {
    TRY_ASSIGN(const Schedule* one, find_schedule(asker, name), "schedules");
    shown.push_back(one);
  } else {
    for (const auto& [each, schedule] : from_.cluster.schedules) {
      if (reaches(asker.requester, asker.reach, schedule.tenant)) shown.push_back(&schedule);
    }
  }
  const WallTime now = from_.clock.wall();
  capnp::MallocMessageBuilder builder;
  auto list = wire::begin(builder, asker.request_id).initSchedules(static_cast<unsigned>(shown.size()));
  for (unsigned i = 0; i < list.size(); ++i) {
    write_schedule(list[i], *shown[i]);
    list[i].setNextUnixMs(from_.schedules.next_of(*shown[i], now).value_or(WallTime()).unix_ms);
    list[i].setObstacle(from_.schedules.obstacle(*shown[i]));
  }
  answer(asker, builder);
  return {};
}

Result<void> Requests::steer_schedule(const Asker& asker, wire::SteerSchedule::Reader request, Turn& turn) {
  const std::string name = to_text(request.getName());
  const std::string what = to_text(request.getWhat());
  const auto schedule = find_schedule(asker, name);
  if (!schedule) return tl::unexpected(schedule.error());
  from_.log.info("schedule_steered",
                 {{"schedule", name}, {"what", what}, {"by", asker.requester.grant.name}});
  if (what == "runNow") return run_schedule_now(asker, **schedule, to_text(request.getToken()), turn);
  for (const scheduler::Steer each :
       {scheduler::Steer::kPause, scheduler::Steer::kResume, scheduler::Steer::kRemove}) {
    if (scheduler::name_of(each) != what) continue;
    turn.events.emplace_back(scheduler::ScheduleSteered{name, each});
    turn.answers.emplace_back([this, asker] { answer_done(asker); });
    return {};
  }
  return fail(Code::kInvalid, "a schedule can be told pause, resume, remove and runNow, not " + what);
}

Result<void> Requests::run_schedule_now(const Asker& asker, const Schedule& schedule,
                                        const std::string& token, Turn& turn) {
  TRY(check_token(token), "a run");
  if (from_.cluster.tokens.contains(token)) {
    answer_submitted(asker, token);
    return {};
  }
  TRY_ASSIGN(const auto archived, from_.archive.with_token(token), "looking for an earlier run");
  if (archived) {
    answer_submitted(asker, *archived);
    return {};
  }
  TRY(from_.room.check(), "the run is refused");
  const bool is_waiting =
      std::ranges::find(schedule.waiting, token, &scheduler::WaitingRun::token) != schedule.waiting.end();
  if (!schedule.going.empty() && schedule.rule.overlap == scheduler::Overlap::kSkip) {
    return fail(Code::kConflict,
                "the run before, graph " + std::to_string(schedule.going.begin()->value) +
                    ", still goes, and this schedule's runs do not overlap; wait, or cancel it");
  }
  if (!is_waiting) turn.events.emplace_back(scheduler::ScheduleRunAsked{schedule.name, token});
  turn.answers.emplace_back([this, asker, token, name = schedule.name] {
    if (from_.cluster.tokens.contains(token)) return answer_submitted(asker, token);
    const auto known = from_.cluster.schedules.find(name);
    if (known == from_.cluster.schedules.end())
      return refuse(asker, Error{Code::kNotFound, "the schedule " + name + " has just been removed"});
    if (std::ranges::find(known->second.waiting, token, &scheduler::WaitingRun::token) ==
        known->second.waiting.end()) {
      const auto& history = known->second.history;
      return refuse(asker, Error{Code::kConflict,
                                 "the run was passed over: " + (history.empty() ? "" : history.back().note)});
    }
    capnp::MallocMessageBuilder builder;  // it waits for the run before
    wire::begin(builder, asker.request_id).initSubmitted().setName(name);
    answer(asker, builder);
  });
  return {};
}

}  // namespace paddock::coordinator
