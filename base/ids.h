// base/ids.h – strong names for the numbers and strings that must not be mixed up.
// A node's name is what the operator gave its worker; a job's name is unique within its graph.
#pragma once

#include <compare>
#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>

namespace paddock {

// Letters, digits and "._-", not starting with a dot, at most limits::kNameBytesMax: safe as a file's name. The rule for
// the names of graphs, jobs, artifacts and nodes.
bool is_name(std::string_view text);

template <typename Tag, typename Value>
struct Id {
  Value value{};

  Id() = default;
  explicit Id(Value given) : value(std::move(given)) {}
  auto operator<=>(const Id&) const = default;
  friend std::ostream& operator<<(std::ostream& out, const Id& id) { return out << id.value; }
};

using GraphId = Id<struct GraphTag, std::uint64_t>;  // 1, 2, … in the order of acceptance
using NodeId = Id<struct NodeTag, std::string>;
using JobName = Id<struct JobTag, std::string>;
using RankId = Id<struct RankTag, std::uint32_t>;

// Grows with every attempt that is placed in the cluster; what carries an older one than its job's newest is refused.
using Fence = Id<struct FenceTag, std::uint64_t>;

struct JobKey {
  GraphId graph;
  JobName job;
  auto operator<=>(const JobKey&) const = default;
  friend std::ostream& operator<<(std::ostream& out, const JobKey& key) {
    return out << key.graph << '/' << key.job;
  }
};

}  // namespace paddock
