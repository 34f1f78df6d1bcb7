// simulation/checks/quotas.h – no tenant uses more at once than it may, by the ranks of its attempts and not by what the
// scheduler counts. One that used more when its quota was lowered may keep that, but nothing on top. Looked at after
// every turn of the coordinator. Threads: one owner.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "scheduler/cluster.h"
#include "simulation/trace.h"

namespace paddock::simulation {

class Quotas {
 public:
  explicit Quotas(Trace& trace) : trace_(trace) {}

  void look(const scheduler::Cluster& cluster) {
    const std::map<std::string, scheduler::Usage> used = used_in(cluster);
    for (const auto& [name, tenant] : cluster.tenants) {
      const auto now = used.contains(name) ? used.at(name) : scheduler::Usage{};
      Seen& before = seen_[name];
      if (before.quota == tenant.quota) {
        check(name, "cores", now.cpus, before.used.cpus, tenant.quota.cpus);
        check(name, "GPUs", now.gpus, before.used.gpus, tenant.quota.gpus);
        check(name, "bytes", now.memory_bytes, before.used.memory_bytes, tenant.quota.memory_bytes);
      }
      if (tenant.quota.cpus > 0 && now.cpus == tenant.quota.cpus) trace_.probe("quota used up");
      if (tenant.quota.cpus > 0 && now.cpus > tenant.quota.cpus)
        trace_.probe("quota lowered below what is used");
      before = {tenant.quota, now};
    }
  }

 private:
  struct Seen {
    scheduler::Usage quota;
    scheduler::Usage used;
  };

  static std::map<std::string, scheduler::Usage> used_in(const scheduler::Cluster& cluster) {
    std::map<std::string, scheduler::Usage> used;
    for (const auto& [id, graph] : cluster.graphs) {
      for (const auto& [name, job] : graph.jobs) {
        const scheduler::Attempt* attempt = job.live_attempt();
        if (attempt == nullptr) continue;
        scheduler::Usage& its = used[graph.tenant];
        for (const scheduler::Rank& rank : attempt->ranks) {
          if (rank.state == scheduler::RankState::kEnded) continue;
          its.cpus += job.request.resources->cpus_per_rank;
          its.gpus += rank.gpus.size();
          its.memory_bytes += job.request.resources->memory_bytes_per_rank;
        }
      }
    }
    return used;
  }

  void check(const std::string& name, const char* what, std::uint64_t now, std::uint64_t before,
             std::uint64_t quota) {
    if (quota == 0 || now <= quota || now <= before) return;
    trace_.violated("quotas: tenant " + name + " uses " + std::to_string(now) + " " + what + " and may use " +
                    std::to_string(quota));
  }

  Trace& trace_;
  std::map<std::string, Seen> seen_;
};

}  // namespace paddock::simulation
