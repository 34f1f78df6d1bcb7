// scheduler/tenant.h – who is charged: what a tenant runs, what it has had, what it may. Values only; they change
// in fair_share.cpp and by TenantSet. Threads: values.
#pragma once

#include <cstdint>
#include <string>

#include "base/time.h"

namespace paddock::scheduler {

// What is running at once. In a quota 0 means: as much as there is.
struct Usage {
  std::uint64_t cpus = 0;
  std::uint64_t gpus = 0;
  std::uint64_t memory_bytes = 0;
  bool operator==(const Usage&) const = default;
};

struct Tenant {
  std::int64_t weight_permille = 1'000;  // twice the weight, twice the share
  Usage quota;
  Usage used;
  std::int64_t history = 0;  // its share of the cluster over the last days, decayed: fair_share.h
  Instant charged_at;        // up to when `history` counts
  bool operator==(const Tenant&) const = default;
};

}  // namespace paddock::scheduler
