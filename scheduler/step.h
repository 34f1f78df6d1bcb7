// scheduler/step.h – one application of an event: what its parts share. Internal to the scheduler.
#pragma once

#include "scheduler/cluster.h"
#include "scheduler/effect.h"

namespace paddock::scheduler {

struct Step {
  Cluster& cluster;
  Moment at;
  Effects& effects;

  // Something changed that only placement by rules 2 and later looks at: an old journal must not decide more often
  // than it did.
  void look_again() const { cluster.is_placement_due = cluster.is_placement_due || cluster.rules >= 2; }
};

}  // namespace paddock::scheduler
