#include "scheduler/fair_share.h"

#include <algorithm>

#include "base/planted_bug.h"

namespace paddock::scheduler {
namespace {

constexpr std::int64_t kWhole = 1'000'000;
constexpr std::int64_t kFine =
    1'024;  // `history` counts in this many parts of a part, so that little is not lost

std::int64_t share_of(std::uint64_t used, std::uint64_t total) {
  if (used == 0) return 0;
  if (total == 0 || used >= total) return kWhole;
  // Memory in bytes would overflow: whole mebibytes are exact enough.
  const std::uint64_t scale = total > (std::uint64_t{1} << 40) ? 1u << 20 : 1;
  return static_cast<std::int64_t>((used / scale) * kWhole / (total / scale));
}

Tenant settled(const Cluster& cluster, const Tenant& tenant, Instant now) {
  Tenant later = tenant;
  if (now <= tenant.charged_at) return later;
  later.history = decayed(tenant.history, dominant_share(tenant.used, cluster.index.total) * kFine,
                          now - tenant.charged_at);
  later.charged_at = now;
  return later;
}

}  // namespace

Usage usage_of_rank(const Request& request) {
  return {request.cpus_per_rank, request.gpus_per_rank, request.memory_bytes_per_rank};
}

std::int64_t dominant_share(const Usage& used, const Usage& total) {
  return std::max({share_of(used.cpus, total.cpus), share_of(used.gpus, total.gpus),
                   share_of(used.memory_bytes, total.memory_bytes)});
}

std::int64_t decayed(std::int64_t history, std::int64_t share, Millis time) {
  std::int64_t apart = history - share;
  const std::int64_t halves = time / kShareHalfLife;
  if (halves >= 62) return share;
  apart /= std::int64_t{1} << halves;
  // Between two half-lives the curve is taken as straight.
  const std::int64_t rest_ms = (time % kShareHalfLife).count();
  const std::int64_t half_life_ms = kShareHalfLife.count();
  return share + apart - apart * (rest_ms / 1'000) / (2 * (half_life_ms / 1'000));
}

std::int64_t score_of(const Cluster& cluster, const std::string& name, Instant now) {
  const auto found = cluster.tenants.find(name);
  if (found == cluster.tenants.end() || is_planted(PlantedBug::kForgetShare)) return 0;
  const Tenant tenant = settled(cluster, found->second, now);
  const std::int64_t share = dominant_share(tenant.used, cluster.index.total) * kFine + tenant.history;
  return share / kFine * 1'000 / std::max<std::int64_t>(1, tenant.weight_permille);
}

void charge(Cluster& cluster, const std::string& name, const Request& request, Charge charge, Instant now) {
  Tenant& tenant = cluster.tenants[name];
  // Not more often than the arithmetic can follow.
  if (now - tenant.charged_at >= Millis(1'000)) tenant = settled(cluster, tenant, now);
  const Usage rank = usage_of_rank(request);
  const auto change = [&](std::uint64_t& used, std::uint64_t by) {
    used = charge == Charge::kTake ? used + by : used - by;
  };
  change(tenant.used.cpus, rank.cpus);
  change(tenant.used.gpus, rank.gpus);
  change(tenant.used.memory_bytes, rank.memory_bytes);
}

}  // namespace paddock::scheduler
