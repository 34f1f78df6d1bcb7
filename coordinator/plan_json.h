// coordinator/plan_json.h – the journal's records of what is planned: schedules and reservations. Part of event_json.h.
// Threads: pure functions.
#pragma once

#include <nlohmann/json.hpp>

#include "coordinator/fields.h"
#include "scheduler/event.h"

namespace paddock::coordinator {

nlohmann::json rule_json(const scheduler::ScheduleRule& rule);
void read_rule(Fields& fields, scheduler::ScheduleRule& rule);

nlohmann::json write(const scheduler::ScheduleDue& event);
void read(Fields& fields, scheduler::ScheduleDue& event);
nlohmann::json write(const scheduler::ScheduleSteered& event);
void read(Fields& fields, scheduler::ScheduleSteered& event);
nlohmann::json write(const scheduler::ScheduleRunAsked& event);
void read(Fields& fields, scheduler::ScheduleRunAsked& event);
nlohmann::json write(const scheduler::ReservationSet& event);
void read(Fields& fields, scheduler::ReservationSet& event);
nlohmann::json write(const scheduler::ReservationRemoved& event);
void read(Fields& fields, scheduler::ReservationRemoved& event);
nlohmann::json write(const scheduler::ReservationTurned& event);
void read(Fields& fields, scheduler::ReservationTurned& event);

}  // namespace paddock::coordinator
