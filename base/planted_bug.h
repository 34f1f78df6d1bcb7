// base/planted_bug.h – deliberate bugs, by which the simulation shows that it can fail: tests/simulation builds the sources
// that ask for them anew with PADDOCK_PLANTED_BUGS, and plants one after the other. In every other build is_planted() is false
// when it is compiled, and nothing of them is left. Threads: the test sets the bug before it starts anything.
#pragma once

namespace paddock {

enum class PlantedBug {
  kNone,
  kSkipSync,       // journaled, but not synced, when it is answered
  kForgetFence,    // an older attempt's reports count for the newest
  kGrantTwice,     // GPUs that were given stay free
  kLoseCancel,     // confirmed, and not done
  kIgnoreQuota,    // gangs are placed whatever their tenant may use
  kForgetShare,    // whoever came first gets all
  kTrustJoins,     // a new daemon is taken for the newest, however long its join was under way
  kGiveUpEarly,    // a rank of which nothing is heard counts as never started, though its order is under way
  kOutliveLease,   // ranks go on for as long again when their lease is over
  kForgetTime,     // times of a schedule that were passed over are not told
  kSendOnce,       // an order to start that was lost is not sent again
  kWrapQuota,      // a quota lowered below what is used is none
  kRoundQuota,     // a gang that is partly within its tenant's quota is placed
  kBlameJob,       // what a faulty GPU did counts against the job
  kDeafToGpus,     // what workers say of faulty GPUs is dropped
  kRemoveEarly,    // graphs leave the archive before their time
  kKeepOutput,     // the output of removed graphs stays
  kKeepRows,       // and so does what is known of their checkpoints
  kLoseCalledOff,  // a reservation that was called off stays
  kRepeatAll,      // what had succeeded runs again with what had not
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
