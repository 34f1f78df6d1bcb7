#include "scheduler/rest.h"

#include <iterator>

namespace paddock::scheduler {

Groups::Classes::const_iterator class_from(const Groups::Classes& classes, const ClassKey& key) {
  const auto next = classes.upper_bound(key);
  if (next != classes.begin() && std::prev(next)->first.first == key.first) return std::prev(next);
  // Of the tenant nothing is left: the next one's highest.
  constexpr auto kHighest = std::numeric_limits<std::int64_t>::max();
  const auto other = classes.upper_bound({key.first, kHighest});
  if (other == classes.end()) return other;
  return std::prev(classes.upper_bound({other->first.first, kHighest}));
}

}  // namespace paddock::scheduler
