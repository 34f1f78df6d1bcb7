// simulation/world.h – what everybody in a simulation shares. Threads: one owner.
#pragma once

#include "simulation/checks/each_time_once.h"
#include "simulation/checks/fair_share.h"
#include "simulation/checks/faulty_gpus.h"
#include "simulation/checks/kept.h"
#include "simulation/checks/nothing_lost.h"
#include "simulation/checks/one_owner.h"
#include "simulation/checks/quotas.h"
#include "simulation/checks/rare_things.h"
#include "simulation/checks/reserved.h"
#include "simulation/checks/right_ends.h"
#include "simulation/network.h"
#include "simulation/plan.h"
#include "simulation/timeline.h"
#include "simulation/trace.h"

namespace paddock::simulation {

inline const char* const kCoordinator = "coordinator";

struct World {
  World(std::uint64_t seed, std::ostream* to)
      : dice(seed), plan(planned(dice, seed)), trace(time, to), network(time, dice, trace, plan) {}
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  static Plan planned(Dice& dice, std::uint64_t seed) {
    Plan plan = draw_plan(dice);
    plan.schedule = draw_schedule(Dice(seed, 1));
    draw_extras(Dice(seed, 2), plan);
    return plan;
  }
  // The clock on the wall. It may go so fast that scheduled times come and go unseen.
  std::int64_t wall_speed() const { return plan.schedule ? plan.schedule->wall_speed : 1; }
  WallTime wall() const { return WallTime{1'700'000'000'000 + wall_speed() * time.now().ms}; }

  Dice dice;
  const Plan plan;
  Timeline time;
  Trace trace;
  Network network;
  OneOwner one_owner{trace};
  RightEnds right_ends{trace};
  Kept kept{trace};
  NothingLost nothing_lost{trace};
  Quotas quotas{trace};
  FairShare fair_share{trace};
  RareThings rare_things{trace};
  EachTimeOnce each_time_once{trace};
  FaultyGpus faulty_gpus{trace};
  Reserved reserved{trace};
  bool is_calm = false;  // phase 2: nothing fails any more
};

}  // namespace paddock::simulation
