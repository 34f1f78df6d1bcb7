#include "coordinator/plan_json.h"

#include <array>
#include <utility>

namespace paddock::coordinator {

using namespace scheduler;

void write_rule(JsonText& record, const ScheduleRule& rule) {
  record.field("cron", rule.cron)
      .field("tz", rule.zone)
      .field("missed", name_of(rule.missed))
      .field("overlap", name_of(rule.overlap))
      .field("deadline_ms", rule.deadline);
}
void read_rule(Fields& fields, ScheduleRule& rule) {
  fields.read("cron", rule.cron);
  fields.read("tz", rule.zone);
  fields.read_name("missed", rule.missed, std::array{Missed::kSkip, Missed::kLatest, Missed::kAll});
  fields.read_name("overlap", rule.overlap, std::array{Overlap::kSkip, Overlap::kQueue, Overlap::kReplace});
  fields.read("deadline_ms", rule.deadline);
}

void write(JsonText& record, const ScheduleDue& event) {
  record.field("schedule", event.schedule)
      .field("until_unix_ms", event.until)
      .field("run_unix_ms", event.run)
      .field("passed_over", event.passed_over)
      .field("newest_passed_over_unix_ms", event.newest_passed_over)
      .field("why", event.why);
}
void read(Fields& fields, ScheduleDue& event) {
  fields.read("schedule", event.schedule);
  fields.read("until_unix_ms", event.until);
  fields.read("run_unix_ms", event.run);
  fields.read("passed_over", event.passed_over);
  fields.read("newest_passed_over_unix_ms", event.newest_passed_over);
  fields.read("why", event.why);
}

void write(JsonText& record, const ScheduleSteered& event) {
  record.field("schedule", event.schedule).field("what", name_of(event.what));
}
void read(Fields& fields, ScheduleSteered& event) {
  fields.read("schedule", event.schedule);
  fields.read_name("what", event.what, std::array{Steer::kPause, Steer::kResume, Steer::kRemove});
}

void write(JsonText& record, const ScheduleRunAsked& event) {
  record.field("schedule", event.schedule).field("token", event.token);
}
void read(Fields& fields, ScheduleRunAsked& event) {
  fields.read("schedule", event.schedule);
  fields.read("token", event.token);
}

void write(JsonText& record, const ReservationSet& event) {
  record.field("name", event.name)
      .field("tenants", event.tenants)
      .field("nodes", event.nodes)
      .field("labels", event.labels)
      .field("begins_unix_ms", event.begins)
      .field("ends_unix_ms", event.ends);
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

void write(JsonText& record, const ReservationRemoved& event) {
  record.field("name", event.name);
}
void read(Fields& fields, ReservationRemoved& event) {
  fields.read("name", event.name);
}

void write(JsonText& record, const ReservationTurned& event) {
  record.field("name", event.name).field("ended", event.has_ended);
}
void read(Fields& fields, ReservationTurned& event) {
  fields.read("name", event.name);
  fields.read("ended", event.has_ended);
}

}  // namespace paddock::coordinator
