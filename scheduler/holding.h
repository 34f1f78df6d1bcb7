// scheduler/holding.h – the nodes that are kept, as a decision goes: none at first, then, job by job, those that were kept
// before if they are still good, or others. Each hold has a mark at its nodes in the index, so whether a node is closed to a
// job costs nothing: below kHoldsMax those of before, by their position, from there on new ones.
//
// A job for which nodes are kept keeps its seat among the kHoldsMax until its turn has come, unless the turn of one of higher
// priority comes before: else, as shares of tenants go up and down, each decision would keep other nodes and ask others to go.
// Internal to dispatch.cpp. Threads: one owner, no longer than a decision.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "scheduler/backfill.h"
#include "scheduler/placement.h"

namespace paddock::scheduler {

// Who asks for nodes to be kept. Nothing is owned.
struct Asking {
  const JobKey& key;
  const Job& job;
  const std::string& tenant;
  const Wanted& wanted;
  const Nodes& reserved;  // that it must leave alone if it starts now
};

class Holding {
 public:
  Holding(Cluster& cluster, Moment at);

  bool is_full() const { return order_.size() == kHoldsMax; }
  std::size_t size() const { return order_.size(); }
  // So far all are, and in the same order, as after the decision before.
  bool is_as_before() const { return !has_changed_; }
  // So many are kept as they were after the decision before, the first of them.
  std::size_t as_before() const;

  // Whether nodes could be kept for a job of that risen priority, if there are any.
  bool has_seat(const Queued& job, std::int64_t risen) const;
  // Its turn has come.
  void give_up_seat(const JobKey& key);

  // What a job with this time limit and grace must leave alone.
  Closed closed_to(Millis time_limit, Millis grace);
  Closed all() const;

  // The hold of the job, kept from before or new; nullptr: none is to be had.
  Hold* keep(const Asking& asking, Failure& failure);
  // Of the last nullptr: there are nodes, but by the time that they have room they are reserved.
  bool is_too_late() const { return is_too_late_; }
  // A new one.
  Hold* add(Hold fresh);

  // By whose turn comes first; nullptr: none is such.
  template <typename Test>
  const Hold* first_that(const Test& is_such) {
    for (const std::size_t mark : order_)
      if (is_such(hold(mark))) return &hold(mark);
    return nullptr;
  }

  // The newest hold is on other nodes now.
  void move_newest(Nodes nodes);
  // All closed but that of the job.
  Closed all_but(const JobKey& key) const;

  // One of the nodes is others' while the job runs, if it starts then; kNever: that is not known.
  bool are_reserved_then(const Asking& asking, Instant start, const Nodes& nodes) const;
  // All such nodes.
  Nodes reserved_then(const Asking& asking, Instant start) const;

  void settle();

 private:
  Hold& hold(std::size_t mark) { return mark < kHoldsMax ? cluster_.holds[mark] : fresh_[mark - kHoldsMax]; }
  const Hold& hold(std::size_t mark) const {
    return mark < kHoldsMax ? cluster_.holds[mark] : fresh_[mark - kHoldsMax];
  }
  bool is_in_order(std::size_t mark) const;
  void mark_nodes(const Nodes& nodes, std::size_t mark);
  std::optional<Hold> search(const Asking& asking);
  WallTime wall_at(Instant time) const { return {at_.wall.unix_ms + (time - at_.now).count()}; }

  Cluster& cluster_;
  const Moment at_;
  std::vector<std::size_t> order_;  // marks, by whose turn comes first
  std::vector<Hold> fresh_;
  std::array<bool, 2 * kHoldsMax> is_broken_{};  // of before, and a new one has a node of it
  std::array<bool, 2 * kHoldsMax> is_moved_{};   // it is on other nodes than before
  // Of before, whose job's turn has not come yet: its risen priority.
  std::array<std::optional<std::int64_t>, kHoldsMax> seats_{};
  std::size_t searches_ = 0;
  bool has_changed_ = false;
  bool is_too_late_ = false;
};

}  // namespace paddock::scheduler
