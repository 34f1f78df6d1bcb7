// simulation/checks/quotas.h – no tenant uses more at once than it may, by the ranks of its attempts and not by what the
// scheduler counts. One that used more when its quota was lowered may keep that, but nothing that uses more of it starts until
// it uses less. Placement comes last in a turn, so that holds also in the turn that lowers it. Looked at after every turn of
// the coordinator. Threads: one owner.
#pragma once

#include <algorithm>
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
    const std::map<std::string, Seen> seen = seen_in(cluster);
    for (const auto& [name, tenant] : cluster.tenants) {
      const auto now = seen.contains(name) ? seen.at(name) : Seen{};
      check(name, "cores", now.cpus, tenant.quota.cpus);
      check(name, "GPUs", now.gpus, tenant.quota.gpus);
      check(name, "bytes", now.memory_bytes, tenant.quota.memory_bytes);
      if (tenant.quota.cpus > 0 && now.cpus.used == tenant.quota.cpus) trace_.probe("quota used up");
      if (tenant.quota.gpus > 0 && now.gpus.used == tenant.quota.gpus) trace_.probe("quota of GPUs used up");
      if (tenant.quota.cpus > 0 && now.cpus.used > tenant.quota.cpus)
        trace_.probe("quota lowered below what is used");
    }
    next_fence_ = cluster.next_fence;
  }

 private:
  struct Amount {
    std::uint64_t used = 0;
    Fence newest;  // of the attempts that use it
    void add(std::uint64_t more, Fence fence) {
      used += more;
      if (more > 0) newest = std::max(newest, fence);
    }
  };
  struct Seen {
    Amount cpus;
    Amount gpus;
    Amount memory_bytes;
  };

  static std::map<std::string, Seen> seen_in(const scheduler::Cluster& cluster) {
    std::map<std::string, Seen> seen;
    for (const auto& [id, graph] : cluster.graphs) {
      for (const auto& [name, job] : graph.jobs) {
        const scheduler::Attempt* attempt = job.live_attempt();
        if (attempt == nullptr) continue;
        Seen& its = seen[graph.tenant];
        for (const scheduler::Rank& rank : attempt->ranks) {
          if (rank.state == scheduler::RankState::kEnded) continue;
          its.cpus.add(job.request.resources->cpus_per_rank, attempt->fence);
          its.gpus.add(rank.gpus.size(), attempt->fence);
          its.memory_bytes.add(job.request.resources->memory_bytes_per_rank, attempt->fence);
        }
      }
    }
    return seen;
  }

  void check(const std::string& name, const char* what, const Amount& now, std::uint64_t quota) {
    if (quota == 0 || now.used <= quota || now.newest.value < next_fence_) return;
    trace_.violated("quotas: tenant " + name + " uses " + std::to_string(now.used) + " " + what +
                    ", may use " + std::to_string(quota) + ", and attempt " +
                    std::to_string(now.newest.value) + " was started");
  }

  Trace& trace_;
  std::uint64_t next_fence_ = 1;  // when it was last looked
};

}  // namespace paddock::simulation
