#include "jobs/curate/held_out.h"

#include <algorithm>

#include "base/check.h"
#include "base/random.h"

namespace paddock::curate {

std::uint64_t draw_position(const std::string& content_hash) {
  PADDOCK_REQUIRE(content_hash.size() >= 10, content_hash);
  return std::stoull(content_hash.substr(0, 10), nullptr, 16);
}

HeldOut hold_out(const Groups& groups, const std::vector<std::string>& content_hashes,
                 const std::vector<Edge>& edges, const HeldOutRules& rules) {
  const std::size_t n = content_hashes.size();
  PADDOCK_REQUIRE(groups.representative.size() == n, groups.representative.size(), n);
  const std::vector<std::uint32_t> sizes = groups.sizes();
  std::vector<const std::string*> smallest(n, nullptr);
  for (std::size_t row = 0; row < n; ++row) {
    const std::string*& hash = smallest[groups.representative[row]];
    if (hash == nullptr || content_hashes[row] < *hash) hash = &content_hashes[row];
  }
  std::vector<bool> group_in_test(n, false);
  for (std::size_t row = 0; row < n; ++row)
    if (sizes[row] > 0 && sizes[row] <= rules.group_max)
      group_in_test[row] =
          Draws(rules.seed, draw_position(*smallest[row]), Purpose::kSplit).uniform() < rules.test_share;

  HeldOut held_out;
  held_out.side.resize(n, Side::kTrain);
  for (std::size_t row = 0; row < n; ++row)
    if (group_in_test[groups.representative[row]]) held_out.side[row] = Side::kTest;

  std::vector<bool> group_leaks(n, false);
  for (const Edge& edge : edges) {
    if (edge.similarity < rules.leak_similarity) continue;
    if (held_out.side[edge.a] == held_out.side[edge.b]) continue;
    const bool a_is_test = held_out.side[edge.a] == Side::kTest;
    const Leak leak{a_is_test ? edge.b : edge.a, a_is_test ? edge.a : edge.b, edge.similarity};
    held_out.leaks.push_back(leak);
    group_leaks[groups.representative[leak.train]] = true;
  }
  std::sort(held_out.leaks.begin(), held_out.leaks.end(), [](const Leak& x, const Leak& y) {
    return std::pair(x.train, x.test) < std::pair(y.train, y.test);
  });
  for (std::size_t row = 0; row < n; ++row)
    if (held_out.side[row] == Side::kTrain && group_leaks[groups.representative[row]])
      held_out.side[row] = Side::kLeaked;
  return held_out;
}

}  // namespace paddock::curate
