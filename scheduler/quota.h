// scheduler/quota.h – what a tenant may run at once. A gang that would break it waits, whoever has the nodes.
// Threads: pure functions.
#pragma once

#include <cstdint>
#include <string>

#include "scheduler/cluster.h"

namespace paddock::scheduler {

// How many of the request's nodes the tenant's quota still allows, at most request.nodes.
std::uint32_t nodes_within_quota(const Cluster& cluster, const std::string& tenant, const Request& request);

// "its tenant vision may use 8 GPUs at once and uses 8"; "": the quota is no obstacle.
std::string quota_obstacle(const Cluster& cluster, const std::string& tenant, const Request& request);

}  // namespace paddock::scheduler
