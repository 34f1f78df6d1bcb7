// base/planted_bug.h – deliberate bugs, by which the simulation shows that it can fail: tests/simulation builds the parts
// anew with PADDOCK_PLANTED_BUGS and asks for one after the other. In every other build is_planted() is false when it is
// compiled, and nothing of them is left. Threads: the test sets the bug before it starts anything.
#pragma once

namespace paddock {

enum class PlantedBug {
  kNone,
  kSkipSync,     // journaled, but not synced, when it is answered
  kForgetFence,  // an older attempt's reports count for the newest
  kGrantTwice,   // GPUs that were given stay free
  kLoseCancel,   // confirmed, and not done
  kIgnoreQuota,  // gangs are placed whatever their tenant may use
  kForgetShare,  // whoever came first gets all
  kTrustJoins,   // a new daemon is taken for the newest, however long its join was under way
};

#ifdef PADDOCK_PLANTED_BUGS
inline PlantedBug planted_bug = PlantedBug::kNone;
inline bool is_planted(PlantedBug bug) {
  return planted_bug == bug;
}
#else
constexpr bool is_planted(PlantedBug) {
  return false;
}
#endif

}  // namespace paddock
