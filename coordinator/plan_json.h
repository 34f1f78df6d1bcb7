// coordinator/plan_json.h – the journal's records of what is planned: schedules and reservations. Part of event_json.h.
// Threads: pure functions.
#pragma once

#include "coordinator/fields.h"
#include "coordinator/json_text.h"
#include "scheduler/event.h"

namespace paddock::coordinator {

void write_rule(JsonText& record, const scheduler::ScheduleRule& rule);
void read_rule(Fields& fields, scheduler::ScheduleRule& rule);

void write(JsonText& record, const scheduler::ScheduleDue& event);
void read(Fields& fields, scheduler::ScheduleDue& event);
void write(JsonText& record, const scheduler::ScheduleSteered& event);
void read(Fields& fields, scheduler::ScheduleSteered& event);
void write(JsonText& record, const scheduler::ScheduleRunAsked& event);
void read(Fields& fields, scheduler::ScheduleRunAsked& event);
void write(JsonText& record, const scheduler::ReservationSet& event);
void read(Fields& fields, scheduler::ReservationSet& event);
void write(JsonText& record, const scheduler::ReservationRemoved& event);
void read(Fields& fields, scheduler::ReservationRemoved& event);
void write(JsonText& record, const scheduler::ReservationTurned& event);
void read(Fields& fields, scheduler::ReservationTurned& event);

}  // namespace paddock::coordinator
