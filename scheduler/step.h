// scheduler/step.h – one application of an event: what its parts share. Internal to the scheduler.
#pragma once

#include "scheduler/cluster.h"
#include "scheduler/effect.h"

namespace paddock::scheduler {

struct Step {
  Cluster& cluster;
  Moment at;
  Effects& effects;
};

}  // namespace paddock::scheduler
