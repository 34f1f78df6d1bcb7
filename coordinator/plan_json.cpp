#include "coordinator/plan_json.h"

#include <array>
#include <utility>

namespace paddock::coordinator {

using nlohmann::json;
using namespace scheduler;

namespace {

// One of `all`, by its name.
template <typename Enum, std::size_t N>
void read_name(Fields& fields, const char* key, Enum& to, const std::array<Enum, N>& all) {
  std::string text;
  fields.read(key, text);
  for (const Enum each : all) {
    if (name_of(each) != text) continue;
    to = each;
    return;
  }
  fields.complain(std::string("field ") + key + " is '" + text +
                  "', which is not known; a newer version wrote it");
}

}  // namespace

json rule_json(const ScheduleRule& rule) {
  return {{"cron", rule.cron},
          {"tz", rule.zone},
          {"missed", name_of(rule.missed)},
          {"overlap", name_of(rule.overlap)},
          {"deadline_ms", rule.deadline.count()}};
}
void read_rule(Fields& fields, ScheduleRule& rule) {
  fields.read("cron", rule.cron);
  fields.read("tz", rule.zone);
  read_name(fields, "missed", rule.missed, std::array{Missed::kSkip, Missed::kLatest, Missed::kAll});
  read_name(fields, "overlap", rule.overlap, std::array{Overlap::kSkip, Overlap::kQueue, Overlap::kReplace});
  fields.read("deadline_ms", rule.deadline);
}

json write(const ScheduleDue& event) {
  json run = json::array();
  for (const WallTime time : event.run) run.push_back(time.unix_ms);
  return {{"schedule", event.schedule},
          {"until_unix_ms", event.until.unix_ms},
          {"run_unix_ms", std::move(run)},
          {"passed_over", event.passed_over},
          {"newest_passed_over_unix_ms", event.newest_passed_over.unix_ms},
          {"why", event.why}};
}
void read(Fields& fields, ScheduleDue& event) {
  fields.read("schedule", event.schedule);
  fields.read("until_unix_ms", event.until);
  fields.read("run_unix_ms", event.run);
  fields.read("passed_over", event.passed_over);
  fields.read("newest_passed_over_unix_ms", event.newest_passed_over);
  fields.read("why", event.why);
}

json write(const ScheduleSteered& event) {
  return {{"schedule", event.schedule}, {"what", name_of(event.what)}};
}
void read(Fields& fields, ScheduleSteered& event) {
  fields.read("schedule", event.schedule);
  read_name(fields, "what", event.what, std::array{Steer::kPause, Steer::kResume, Steer::kRemove});
}

json write(const ScheduleRunAsked& event) {
  return {{"schedule", event.schedule}, {"token", event.token}};
}
void read(Fields& fields, ScheduleRunAsked& event) {
  fields.read("schedule", event.schedule);
  fields.read("token", event.token);
}

json write(const ReservationSet& event) {
  return {{"name", event.name},
          {"tenants", event.tenants},
          {"nodes", event.nodes},
          {"labels", event.labels},
          {"begins_unix_ms", event.begins.unix_ms},
          {"ends_unix_ms", event.ends.unix_ms}};
}
void read(Fields& fields, ReservationSet& event) {
  fields.read("name", event.name);
  fields.read("tenants", event.tenants);
  fields.read("nodes", event.nodes);
  fields.read_map_if_there(
      "labels", [&](const std::string& name, const std::string& value) { event.labels[name] = value; });
  fields.read("begins_unix_ms", event.begins);
  fields.read("ends_unix_ms", event.ends);
}

json write(const ReservationRemoved& event) {
  return {{"name", event.name}};
}
void read(Fields& fields, ReservationRemoved& event) {
  fields.read("name", event.name);
}

json write(const ReservationTurned& event) {
  return {{"name", event.name}, {"ended", event.has_ended}};
}
void read(Fields& fields, ReservationTurned& event) {
  fields.read("name", event.name);
  fields.read("ended", event.has_ended);
}

}  // namespace paddock::coordinator
