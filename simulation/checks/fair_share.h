// simulation/checks/fair_share.h – tenants that always have work get shares by their weights. Where all jobs take one core and
// nothing fails, a core goes to the tenant that has least of its due, so none ever has a whole core more than its due
// when it gets one; over a window in which all have jobs waiting its average is at most that much above, and at most what
// the others can be above below. Looked at after every turn of the coordinator. Threads: one owner.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <string>

#include "scheduler/cluster.h"
#include "simulation/trace.h"

namespace paddock::simulation {

class FairShare {
 public:
  // Whoever started before the others had come has gone by then: simulation/machine.cpp.
  static constexpr Millis kSettles{25'000};
  static constexpr Millis kWindow{8'000};  // shorter ones say nothing

  explicit FairShare(Trace& trace) : trace_(trace) {}

  // While all of `tenants` have jobs waiting on a cluster without faults.
  template <typename Tenants>
  void look(const scheduler::Cluster& cluster, const Tenants& tenants, Instant now) {
    const bool was_contended = is_contended_;
    is_contended_ = cluster.index.total.cpus > 0;
    std::uint64_t weights = 0;
    for (const auto& tenant : tenants) {
      is_contended_ = is_contended_ && has_waiting(cluster, tenant.name);
      weights += tenant.weight_permille;
    }
    const Millis passed = now - looked_at_;
    looked_at_ = now;
    if (was_contended) contended_for_ += passed;
    if (was_contended && contended_for_ > kSettles) {
      window_ += passed;
      for (const auto& [name, cores] : cores_) core_ms_[name] += cores * passed.count();
      if (!is_contended_ && window_ >= kWindow) judge(cluster, tenants, weights);
    }
    if (was_contended && !is_contended_) start_anew();
    for (const auto& tenant : tenants) {
      const auto known = cluster.tenants.find(tenant.name);
      cores_[tenant.name] =
          known == cluster.tenants.end() ? 0 : static_cast<std::int64_t>(known->second.used.cpus);
    }
  }

 private:
  static bool has_waiting(const scheduler::Cluster& cluster, const std::string& tenant) {
    const auto& classes = cluster.index.groups.classes();
    const auto found = classes.lower_bound({tenant, std::numeric_limits<std::int64_t>::min()});
    return found != classes.end() && found->first.first == tenant;
  }

  template <typename Tenants>
  void judge(const scheduler::Cluster& cluster, const Tenants& tenants, std::uint64_t weights) {
    trace_.probe("all tenants had work for a while");
    const auto all = static_cast<std::int64_t>(cluster.index.total.cpus);
    const std::int64_t time = window_.count();
    for (const auto& tenant : tenants) {
      // In thousandths of a core.
      const std::int64_t due = all * 1'000 * tenant.weight_permille / static_cast<std::int64_t>(weights);
      const std::int64_t had = core_ms_[tenant.name] * 1'000 / time;
      const std::int64_t above = 1'100;
      const auto below = static_cast<std::int64_t>(tenants.size() - 1) * above;
      if (had > due + above || had < due - below)
        trace_.violated("fair share: tenant " + tenant.name + " had " + std::to_string(had) +
                        " thousandths of a core for " + std::to_string(time) + " ms, its due was " +
                        std::to_string(due));
    }
  }
  void start_anew() {
    contended_for_ = window_ = Millis(0);
    core_ms_.clear();
  }

  Trace& trace_;
  bool is_contended_ = false;
  Instant looked_at_{};
  Millis contended_for_{0};
  Millis window_{0};
  std::map<std::string, std::int64_t> cores_;    // that each had when it was last looked at
  std::map<std::string, std::int64_t> core_ms_;  // in the window
};

}  // namespace paddock::simulation
