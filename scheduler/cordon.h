// scheduler/cordon.h – nodes that get no new work: those that an operator drains, and those that failed several
// attempts in a row. The first are emptied: what runs there goes on elsewhere from its next checkpoint, and at the
// deadline, if there is one, it is asked to stop. The second come back by themselves, after a pause that doubles
// each time, so that a fault that has gone costs no operator. Internal to the scheduler.
#pragma once

#include <string>

#include "scheduler/event.h"
#include "scheduler/step.h"

namespace paddock::scheduler {

inline constexpr std::int32_t kFaultsInARowMax = 3;
inline constexpr Millis kFaultsForgottenAfter = std::chrono::minutes(10);
inline constexpr Millis kCordonFirst = std::chrono::minutes(1);
inline constexpr Millis kCordonMax = std::chrono::minutes(10);

// An attempt ended for the node's sake. The node is suspected, and cordoned when that was once too often.
void note_fault(Step& step, Node& node, const std::string& reason);
// An attempt on it succeeded.
void note_success(Node& node);

void drain(Step& step, const NodeDrained& event);
void resume(Step& step, const NodeResumed& event);
// Made by due() in lease.h: a cordon's time or a drain's deadline is over.
void end_cordon(Step& step, const CordonEnded& event);

// The attempt has saved itself: if a node of it is being drained, it is moved.
void move_if_drained(Step& step, const Found& found);

// "a is being drained: new disks", "a is cordoned: 3 attempts in a row …"; "": it takes work, or is lost.
std::string why_cordoned(const Node& node);

}  // namespace paddock::scheduler
