// coordinator/event_json.h – an event as a record of the journal and back. Format: docs/journal-format.md.
// Fields are only ever appended; a reader passes over those that it does not know.
// Threads: pure functions. Errors: nothing of nlohmann throws outward.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "scheduler/event.h"

namespace paddock::coordinator {

std::string to_record(const scheduler::Event& event);

// kCorrupt: not a record, a field missing or of another type, or a type of event that a newer version wrote.
Result<scheduler::Event> to_event(std::string_view record);

}  // namespace paddock::coordinator
