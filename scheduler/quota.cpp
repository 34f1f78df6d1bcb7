#include "scheduler/quota.h"

#include <algorithm>

#include "base/planted_bug.h"
#include "scheduler/sentence.h"

namespace paddock::scheduler {
namespace {

std::uint64_t nodes_within(std::uint64_t quota, std::uint64_t used, std::uint64_t per_node,
                           std::uint64_t wanted) {
  if (quota == 0 || per_node == 0) return wanted;
  if (is_planted(PlantedBug::kWrapQuota) && used > quota) return wanted;
  if (is_planted(PlantedBug::kRoundQuota) && used < quota) quota += per_node - 1;
  return used >= quota ? 0 : std::min(wanted, (quota - used) / per_node);
}

}  // namespace

std::uint32_t nodes_within_quota(const Cluster& cluster, const std::string& name, const Request& request) {
  const auto found = cluster.tenants.find(name);
  if (found == cluster.tenants.end() || is_planted(PlantedBug::kIgnoreQuota)) return request.nodes;
  const Tenant& tenant = found->second;
  std::uint64_t nodes = request.nodes;
  nodes = nodes_within(tenant.quota.cpus, tenant.used.cpus, request.cpus_per_node(), nodes);
  nodes = nodes_within(tenant.quota.gpus, tenant.used.gpus, request.gpus_per_node(), nodes);
  nodes = nodes_within(tenant.quota.memory_bytes, tenant.used.memory_bytes, request.memory_bytes_per_node(),
                       nodes);
  return static_cast<std::uint32_t>(nodes);
}

std::string quota_obstacle(const Cluster& cluster, const std::string& name, const Request& request) {
  const auto found = cluster.tenants.find(name);
  if (found == cluster.tenants.end() || nodes_within_quota(cluster, name, request) >= request.fewest_nodes())
    return "";
  const Usage& quota = found->second.quota;
  const Usage& used = found->second.used;
  const std::uint64_t nodes = request.fewest_nodes();
  const std::string start = "its tenant " + name + " may use ";
  if (quota.gpus > 0 && used.gpus + request.gpus_per_node() * nodes > quota.gpus)
    return start + count(quota.gpus, "GPU") + " at once and uses " + std::to_string(used.gpus);
  if (quota.cpus > 0 && used.cpus + request.cpus_per_node() * nodes > quota.cpus)
    return start + count(quota.cpus, "core") + " at once and uses " + std::to_string(used.cpus);
  return start + mebibytes(quota.memory_bytes) + " at once and uses " + mebibytes(used.memory_bytes);
}

}  // namespace paddock::scheduler
