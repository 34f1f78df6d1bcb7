#include "jobs/curate/linkage.h"

#include <numeric>
#include <stdexcept>
#include <string>

#include "base/check.h"

namespace paddock::curate {
namespace {

std::vector<std::uint32_t> ranks_of(const std::vector<std::uint32_t>& order) {
  std::vector<std::uint32_t> rank(order.size());
  for (std::size_t place = 0; place < order.size(); ++place)
    rank[order[place]] = static_cast<std::uint32_t>(place);
  return rank;
}

Groups link_star(const std::vector<std::uint32_t>& order, const std::vector<Edge>& edges) {
  const std::vector<std::uint32_t> rank = ranks_of(order);
  std::vector<std::vector<Neighbour>> better(
      order.size());  // of each row, the similar rows that come before it
  for (const Edge& edge : edges) {
    const bool a_first = rank[edge.a] < rank[edge.b];
    better[a_first ? edge.b : edge.a].push_back({a_first ? edge.a : edge.b, edge.similarity});
  }
  Groups groups;
  groups.representative.resize(order.size());
  for (const std::uint32_t row : order) {
    Neighbour chosen{row, 0};
    for (const Neighbour& other : better[row]) {
      if (groups.representative[other.row] != other.row) continue;
      const bool closer = chosen.row == row || other.similarity > chosen.similarity ||
                          (other.similarity == chosen.similarity && rank[other.row] < rank[chosen.row]);
      if (closer) chosen = other;
    }
    groups.representative[row] = chosen.row;
  }
  return groups;
}

Groups link_components(const std::vector<std::uint32_t>& order, const std::vector<Edge>& edges) {
  const std::vector<std::uint32_t> rank = ranks_of(order);
  std::vector<std::uint32_t> parent(order.size());
  std::iota(parent.begin(), parent.end(), 0u);
  const auto root = [&](std::uint32_t row) {
    while (parent[row] != row) row = parent[row] = parent[parent[row]];
    return row;
  };
  // The better root always wins, so the root of a finished group is its best row whatever the order of the
  // edges.
  for (const Edge& edge : edges) {
    const std::uint32_t a = root(edge.a);
    const std::uint32_t b = root(edge.b);
    if (a != b) (rank[a] < rank[b] ? parent[b] : parent[a]) = rank[a] < rank[b] ? a : b;
  }
  Groups groups;
  groups.representative.resize(order.size());
  for (std::uint32_t row = 0; row < order.size(); ++row) groups.representative[row] = root(row);
  return groups;
}

}  // namespace

Linkage linkage_named(std::string_view name) {
  if (name == "star") return Linkage::kStar;
  if (name == "components") return Linkage::kComponents;
  throw std::invalid_argument("linkage '" + std::string(name) + "': it is star or components");
}

std::vector<std::uint32_t> Groups::sizes() const {
  std::vector<std::uint32_t> sizes(representative.size(), 0);
  for (const std::uint32_t row : representative) ++sizes[row];
  return sizes;
}

Groups link(Linkage linkage, const std::vector<std::uint32_t>& order, const std::vector<Edge>& edges) {
  for (const Edge& edge : edges)
    PADDOCK_REQUIRE(edge.a < order.size() && edge.b < order.size(), edge.a, edge.b);
  return linkage == Linkage::kStar ? link_star(order, edges) : link_components(order, edges);
}

}  // namespace paddock::curate
