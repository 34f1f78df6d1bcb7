// simulation/plan.h – what a seed draws before anything happens: the cluster, the load, how often what fails.
// Threads: values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/time.h"

namespace paddock::simulation {

// One stream of draws for all of a simulation: it has one thread, so their order is the seed's.
class Dice {
 public:
  explicit Dice(std::uint64_t seed, std::uint64_t stream = 0) : draws_(seed, stream, Purpose::kSimulation) {}
  std::uint64_t below(std::uint64_t n) { return draws_.below(n); }
  std::uint64_t between(std::uint64_t low, std::uint64_t high) { return low + below(high - low + 1); }
  Millis ms(std::uint64_t low, std::uint64_t high) {
    return Millis(static_cast<std::int64_t>(between(low, high)));
  }
  bool chance(std::uint64_t permille) { return below(1'000) < permille; }
  std::uint64_t u64() { return draws_.u64(); }

 private:
  Draws draws_;
};

struct NodePlan {
  std::uint32_t cpus = 1;
  std::uint32_t gpus = 0;
  std::int64_t clock_permille = 1'000;  // how fast its clock goes
  std::uint32_t rack = 0;               // label rack: r0, r1, …
  bool is_old = false;                  // label old: yes
};

struct TenantPlan {
  std::string name;
  std::uint32_t weight_permille = 1'000;
  std::uint64_t cpus_max = 0;  // its quota; 0: none
  std::uint64_t gpus_max = 0;
};

// A graph that runs each minute, by a clock on the wall that goes so fast that some come and go unseen.
struct SchedulePlan {
  std::string missed;
  std::string overlap;
  std::int64_t wall_speed = 1;
};

// How long a graph that has ended stays in the archive, and how many jobs it may have. 0: as coordinator/options.h says.
struct RetentionPlan {
  Millis keep_archive{};
  std::uint64_t archive_jobs_max = 0;
  std::uint64_t ended_jobs_max = 0;
};

struct Plan {
  std::vector<NodePlan> nodes;
  std::vector<TenantPlan> tenants;
  bool is_saturated =
      false;  // each tenant has more work than the cluster can do, and nothing fails: checks/fair_share.h
  std::uint32_t graphs = 1;
  Millis lease{};
  Millis faults_for{};  // how long phase 1 takes
  std::uint64_t snapshot_events = 1;
  Millis keep_ended{};

  // Of each message, in permille.
  std::uint64_t lost = 0;
  std::uint64_t doubled = 0;
  std::uint64_t late = 0;  // by up to twice the lease: so also out of order
  // Mean times between faults of one kind; 0: it does not happen.
  Millis crash_of_coordinator{};
  Millis crash_of_worker{};
  Millis pause_of_coordinator{};
  Millis pause_of_worker{};
  Millis partition{};
  Millis full_disk{};
  Millis drain{};  // a node, or takes it back
  Millis quota{};  // another one for a tenant
  // Of each rank, in permille.
  std::uint64_t fails = 0;
  std::uint64_t hangs = 0;
  std::uint64_t deaf = 0;  // to SIGTERM
  bool is_slow = false;    // ranks take minutes, so that gangs have the time to grow
  std::optional<SchedulePlan> schedule{};
  std::optional<RetentionPlan> retention{};
  Millis gpu_fault{};    // a GPU falls ill, until its worker is started again
  Millis reservation{};  // nodes are reserved, or a reservation is called off
  Millis repetition{};   // somebody has a graph run again that ended without success
};

// Everything that a tenant is to have is set, and taken away again, by simulation/operator.h.
inline std::vector<TenantPlan> draw_tenants(Dice& dice) {
  std::vector<TenantPlan> tenants{{"ada"}, {"bob"}, {"cyd"}};
  for (TenantPlan& tenant : tenants) {
    tenant.weight_permille = static_cast<std::uint32_t>(500 * dice.between(1, 6));
    if (dice.chance(300)) tenant.cpus_max = dice.between(1, 8);
    if (dice.chance(200)) tenant.gpus_max = dice.between(1, 4);
  }
  return tenants;
}

// Nothing fails, nobody has a quota: all that is left to see is who gets how much.
inline Plan draw_saturated_plan(Dice& dice) {
  Plan plan;
  plan.is_saturated = true;
  plan.nodes.resize(2);
  for (NodePlan& node : plan.nodes) node.cpus = static_cast<std::uint32_t>(dice.between(3, 4));
  plan.tenants = draw_tenants(dice);
  for (TenantPlan& tenant : plan.tenants) tenant.cpus_max = tenant.gpus_max = 0;
  plan.graphs = static_cast<std::uint32_t>(plan.tenants.size());
  plan.lease = dice.ms(3'000, 12'000);
  plan.faults_for = Millis(60'000);
  plan.snapshot_events = 100'000;
  plan.keep_ended = std::chrono::hours(1);
  return plan;
}

inline Plan draw_plan(Dice& dice) {
  if (dice.chance(30)) return draw_saturated_plan(dice);
  Plan plan;
  plan.nodes.resize(dice.between(1, 5));
  for (NodePlan& node : plan.nodes) {
    node.cpus = static_cast<std::uint32_t>(dice.between(2, 6));
    node.gpus = static_cast<std::uint32_t>(dice.below(4));
    node.clock_permille = static_cast<std::int64_t>(dice.between(985, 1'015));
    node.rack = static_cast<std::uint32_t>(dice.below(2));
    node.is_old = dice.chance(200);
  }
  plan.tenants = draw_tenants(dice);
  plan.graphs = static_cast<std::uint32_t>(dice.between(1, 6));
  plan.lease = dice.ms(3'000, 12'000);
  plan.faults_for = dice.ms(20'000, 90'000);
  plan.snapshot_events = dice.chance(500) ? dice.between(1, 50) : 100'000;
  plan.keep_ended = dice.chance(300) ? dice.ms(1'000, 20'000) : std::chrono::hours(1);
  // Each kind of fault is absent in half of the seeds: one that is everywhere hides what the others would show.
  const auto rate = [&](std::uint64_t most) { return dice.chance(500) ? dice.below(most + 1) : 0; };
  const auto every = [&](std::uint64_t least, std::uint64_t most) {
    return dice.chance(500) ? dice.ms(least, most) : Millis(0);
  };
  plan.lost = rate(200);
  plan.doubled = rate(200);
  plan.late = rate(100);
  plan.crash_of_coordinator = every(3'000, 60'000);
  plan.crash_of_worker = every(3'000, 60'000);
  plan.pause_of_coordinator = every(5'000, 60'000);
  plan.pause_of_worker = every(5'000, 60'000);
  plan.partition = every(5'000, 60'000);
  plan.full_disk = every(10'000, 60'000);
  plan.drain = every(5'000, 60'000);
  plan.quota = every(5'000, 60'000);
  plan.fails = rate(300);
  plan.hangs = rate(100);
  plan.deaf = rate(300);
  plan.is_slow = dice.chance(200);
  return plan;
}

// Of dice of its own, so that the histories of seeds without one are not changed by it.
inline std::optional<SchedulePlan> draw_schedule(Dice dice) {
  if (!dice.chance(250)) return std::nullopt;
  const char* const missed[] = {"skip", "latest", "all"};
  const char* const overlap[] = {"skip", "queue", "replace"};
  return SchedulePlan{missed[dice.below(3)], overlap[dice.below(3)],
                      static_cast<std::int64_t>(dice.between(1, 30))};
}

// What joined the load later, of dice of its own as well: each in a third of the seeds.
inline void draw_extras(Dice dice, Plan& plan) {
  if (plan.is_saturated) return;
  const auto every = [&](std::uint64_t least, std::uint64_t most) {
    return dice.chance(333) ? dice.ms(least, most) : Millis(0);
  };
  plan.gpu_fault = every(3'000, 30'000);
  plan.reservation = every(3'000, 20'000);
  plan.repetition = every(2'000, 15'000);
  if (!dice.chance(333)) return;
  RetentionPlan retention;
  if (dice.chance(700)) retention.keep_archive = dice.ms(1'000, 30'000);
  if (dice.chance(400)) retention.archive_jobs_max = dice.between(1, 10);
  if (dice.chance(300)) retention.ended_jobs_max = dice.between(1, 6);
  plan.retention = retention;
  plan.keep_ended = dice.ms(1'000, 10'000);
}

}  // namespace paddock::simulation
