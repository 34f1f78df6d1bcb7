// scheduler/fair_share.h – which tenant has had least. A tenant's share is that of the resource of which it has
// most (dominant resource: Ghodsi et al., NSDI 2011), in parts of a million of what the ready nodes offer. What
// it has now and what it has had lately, an average that loses half its weight in a day, count alike; both are
// divided by its weight. Integers only. Threads: pure functions but charge().
#pragma once

#include <cstdint>
#include <string>

#include "scheduler/cluster.h"

namespace paddock::scheduler {

inline constexpr Millis kShareHalfLife = std::chrono::hours(24);

// What one rank of the request uses.
Usage usage_of_rank(const Request& request);

// Of a million parts, what `used` takes of the cluster at most of any resource.
std::int64_t dominant_share(const Usage& used, const Usage& total);

// An average that was `history` and was followed by `share` for so long.
std::int64_t decayed(std::int64_t history, std::int64_t share, Millis time);

// Lower goes first.
std::int64_t score_of(const Cluster& cluster, const std::string& tenant, Instant now);

enum class Charge { kTake, kGiveBack };

// A rank of the tenant's begins or ends.
void charge(Cluster& cluster, const std::string& tenant, const Request& request, Charge charge, Instant now);

}  // namespace paddock::scheduler
