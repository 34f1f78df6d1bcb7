// scheduler/resources.h – what a node offers, what a job asks for, and what is still free.
// Counts only; which core a rank runs on is the worker's business, but GPUs and ports are handed out by name.
// Threads: values.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace paddock::scheduler {

struct Gpu {
  std::string uuid;
  std::string model;
  std::uint64_t memory_bytes = 0;
  bool operator==(const Gpu&) const = default;
};

struct Offer {
  std::uint32_t cpus = 0;
  std::uint64_t memory_bytes = 0;
  std::vector<Gpu> gpus;             // in the node's own order
  std::vector<std::uint16_t> ports;  // for rendezvous; each is lent to one attempt at a time
  bool operator==(const Offer&) const = default;
};

// The gang: `nodes` different nodes with `ranks_per_node` ranks each, all or none. Bounds: check_graph() in
// graph.h.
struct Request {
  std::uint32_t nodes = 1;
  std::uint32_t ranks_per_node = 1;
  std::uint32_t gpus_per_rank = 0;
  std::uint32_t cpus_per_rank = 1;
  std::uint64_t memory_bytes_per_rank = 0;  // 0: not accounted and not limited
  bool operator==(const Request&) const = default;

  std::uint32_t world_size() const { return nodes * ranks_per_node; }
  std::uint64_t cpus_per_node() const { return std::uint64_t{cpus_per_rank} * ranks_per_node; }
  std::uint64_t gpus_per_node() const { return std::uint64_t{gpus_per_rank} * ranks_per_node; }
  std::uint64_t memory_bytes_per_node() const { return memory_bytes_per_rank * ranks_per_node; }
};

struct Free {
  std::uint64_t cpus = 0;
  std::uint64_t memory_bytes = 0;
  std::set<std::string> gpus;  // UUIDs
  std::set<std::uint16_t> ports;
  bool operator==(const Free&) const = default;
};

inline Free all_of(const Offer& offer) {
  Free free{offer.cpus, offer.memory_bytes, {}, {offer.ports.begin(), offer.ports.end()}};
  for (const Gpu& gpu : offer.gpus) free.gpus.insert(gpu.uuid);
  return free;
}

// Whether one node's part of the gang fits; any of its nodes may become the master, so each needs a port.
inline bool fits(const Request& request, const Free& free) {
  return request.cpus_per_node() <= free.cpus && request.memory_bytes_per_node() <= free.memory_bytes &&
         request.gpus_per_node() <= free.gpus.size() && !free.ports.empty();
}

}  // namespace paddock::scheduler
