// coordinator/turn.h – what one turn of the loop gathers before anything of it is journaled.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "scheduler/event.h"

namespace paddock::coordinator {

struct Turn {
  std::vector<scheduler::What> events;  // journaled together, then applied in this order
  std::vector<std::function<void()>>
      answers;  // sent once all events are durable and applied, before the effects
};

}  // namespace paddock::coordinator
