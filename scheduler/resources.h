// scheduler/resources.h – what a node offers, what a job asks for, and what is still free.
// Counts only; which core a rank runs on is the worker's business, but GPUs and ports are handed out by name.
// Threads: values.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace paddock::scheduler {

struct Gpu {
  std::string uuid;
  std::string model;
  std::uint64_t memory_bytes = 0;
  std::string fault = {};  // why it is never placed on any more; "": it is well
  bool operator==(const Gpu&) const = default;
};

using Labels = std::map<std::string, std::string>;  // what an operator says about a node: rack → r1

struct Offer {
  std::uint32_t cpus = 0;
  std::uint64_t memory_bytes = 0;
  std::vector<Gpu> gpus;             // in the node's own order
  std::vector<std::uint16_t> ports;  // for rendezvous; each is lent to one attempt at a time
  Labels labels{};
  bool operator==(const Offer&) const = default;
};

// False only for a GPU that the node has and that is faulty.
inline bool is_well(const Offer& offer, const std::string& uuid) {
  for (const Gpu& gpu : offer.gpus) {
    if (gpu.uuid == uuid) return gpu.fault.empty();
  }
  return true;
}

// The gang: `nodes` different nodes with `ranks_per_node` ranks each, all or none. Bounds: check_graph() in
// graph.h.
struct Request {
  std::uint32_t nodes = 1;
  std::uint32_t ranks_per_node = 1;
  std::uint32_t gpus_per_rank = 0;
  std::uint32_t cpus_per_rank = 1;
  std::uint64_t memory_bytes_per_rank = 0;  // 0: not accounted and not limited
  std::uint32_t nodes_min = 0;  // fewer will do, and more are taken later: elastic.h; 0: exactly `nodes`
  std::string gpu_model{};      // a part of the model's name, as "H100"; "": any
  std::uint64_t gpu_memory_bytes = 0;  // of each GPU, at least
  Labels labels{};                     // that a node must have; value "": whatever it is
  Labels avoid{};                      // that it must not have; likewise
  std::string apart{};                 // jobs of a graph with the same text share no node; "": may
  auto operator<=>(const Request&) const = default;

  std::uint32_t fewest_nodes() const { return nodes_min > 0 ? nodes_min : nodes; }
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
  for (const Gpu& gpu : offer.gpus) {
    if (gpu.fault.empty()) free.gpus.insert(gpu.uuid);
  }
  return free;
}

// A GPU of the kind that the request asks for, and well.
bool is_wanted(const Request& request, const Gpu& gpu);

// What one node has for the request, in numbers: of GPUs only those that it could be given.
struct Room {
  std::uint64_t cpus = 0;
  std::uint64_t memory_bytes = 0;
  std::uint64_t gpus = 0;
  std::uint64_t ports = 0;

  // Whether one node's part of the gang fits; any of its nodes may become the master, so each needs a port.
  bool holds(const Request& request) const {
    return request.cpus_per_node() <= cpus && request.memory_bytes_per_node() <= memory_bytes &&
           request.gpus_per_node() <= gpus && ports > 0;
  }
  bool operator==(const Room&) const = default;
};
Room room_now(const Request& request, const Offer& offer, const Free& free);
Room room_when_empty(const Request& request, const Offer& offer);

// Whether the node's labels are those that are asked for.
bool has_labels(const Request& request, const Labels& labels);
inline bool has_labels(const Request& request, const Offer& offer) {
  return has_labels(request, offer.labels);
}

}  // namespace paddock::scheduler
