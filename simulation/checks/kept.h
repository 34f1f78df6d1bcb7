// simulation/checks/kept.h – what ended stays for as long as it is to, the same in the archive as it was in memory; goes
// when its time has come, the one that ended first first, and then with all that is known of it. What was not synced may
// come back after a crash; what was removed for good does not. Looked at after every turn. Threads: one owner.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/answers.h"
#include "coordinator/archive.h"
#include "coordinator/options.h"
#include "scheduler/cluster.h"
#include "simulation/disk.h"
#include "simulation/trace.h"
#include "storage/checkpoint_index.h"

namespace paddock::simulation {

class Kept {
 public:
  explicit Kept(Trace& trace) : trace_(trace) {}

  void look(const scheduler::Cluster& cluster, Disk& disk, const coordinator::CoordinatorOptions& options,
            WallTime now) {
    for (const auto& [id, graph] : cluster.graphs) remember(graph);
    for (const auto& [token, id] : cluster.tokens) graphs_[id].token = token;
    const bool has_left = std::ranges::any_of(graphs_, [&](const auto& known) {
      return known.second.place == Place::kMemory && !cluster.graphs.contains(known.first);
    });
    if (!has_left && !is_after_crash_ && looked_at_ == disk.changes_of_archive()) return;
    looked_at_ = disk.changes_of_archive();
    look_at_archive(cluster, disk, options, now);
    is_after_crash_ = false;
  }
  // The coordinator is opened again; what it had not synced may be lost.
  void crashed() { is_after_crash_ = true; }

  bool is_removed(GraphId id) const {
    const auto known = graphs_.find(id);
    return known != graphs_.end() && known->second.place == Place::kRemoved;
  }
  // Though it may have come back, as the coordinator's disk forgot it.
  bool was_removed(GraphId id) const { return removed_.contains(id); }
  bool is_known(GraphId id) const { return graphs_.contains(id); }
  // Graphs that ended and left memory in one turn, so that nobody has seen their ends.
  scheduler::Cluster take_unseen() { return std::exchange(unseen_, {}); }
  // The output of its ranks, which is there from its first attempt on.
  void removed_output(GraphId id) {
    outputs_.erase(id);
    if (is_known(id) && !is_removed(id))
      trace_.violated("kept: the output of graph " + std::to_string(id.value) +
                      " is removed before the graph");
  }
  // Nothing is there any more whose time has come, and nothing of what has gone.
  bool is_settled(bool removes_all) const {
    return std::ranges::all_of(graphs_, [&](const auto& known) {
      return known.second.place == Place::kRemoved ? !outputs_.contains(known.first) : !removes_all;
    });
  }
  std::vector<GraphId> all() const {
    std::vector<GraphId> ids;
    for (const auto& [id, known] : graphs_) ids.push_back(id);
    return ids;
  }

 private:
  enum class Place { kMemory, kArchive, kRemoved };
  struct Known {
    Place place = Place::kMemory;
    std::string token;
    std::uint64_t jobs = 0;
    std::optional<scheduler::Graph> ended;  // as it was when it ended
    WallTime left;                          // memory, if it ended in that turn
  };
  using Rows = std::map<GraphId, coordinator::Archive::Ended>;

  void remember(const scheduler::Graph& graph) {
    Known& known = graphs_[graph.id];
    if (known.place != Place::kMemory)
      return trace_.violated("kept: graph " + std::to_string(graph.id.value) + " has left and is back");
    if (known.ended) return;
    known.jobs = graph.jobs.size();
    for (const auto& [name, job] : graph.jobs)
      if (!job.attempts.empty()) outputs_.insert(graph.id);
    if (graph.state != scheduler::GraphState::kActive) known.ended = graph;
  }

  void look_at_archive(const scheduler::Cluster& cluster, Disk& disk,
                       const coordinator::CoordinatorOptions& options, WallTime now) {
    const auto listed = coordinator::Archive(disk).oldest(100'000);
    if (!listed) return trace_.violated("kept: the archive cannot be read: " + listed.error().message);
    Rows rows;
    for (const auto& row : *listed) rows.emplace(row.id, row);
    // Of a schedule one may even begin, be replaced and leave in the same turn.
    for (const auto& row : *listed)
      if (!graphs_.contains(row.id)) graphs_[row.id] = {Place::kMemory, row.token, row.jobs, {}, {}};
    std::vector<GraphId> gone;
    for (auto& [id, known] : graphs_) {
      const bool is_archived = rows.contains(id);
      if (cluster.graphs.contains(id)) {
        if (is_archived) say(id, "is in memory and in the archive");
        continue;
      }
      if (known.place == Place::kMemory) look_at_leaving(id, known, options, now);
      if (is_archived && known.place != Place::kArchive) look_at_archived(id, known, disk);
      if (!is_archived && known.place != Place::kRemoved) gone.push_back(id);
      known.place = is_archived ? Place::kArchive : Place::kRemoved;
      if (!is_archived) removed_.insert(id);
    }
    if (!gone.empty()) look_at_gone(gone, rows, options, now);
    const auto being_removed = coordinator::Archive(disk).gone(100'000);
    for (const auto& [id, known] : graphs_) {
      if (known.place != Place::kRemoved) continue;
      look_for_traces(id, known, disk);
      if (outputs_.contains(id) && (!being_removed || !std::ranges::count(*being_removed, id)))
        say(id, "was removed and its output stays");
    }
  }

  // Where few ended graphs have room in memory, one may end and leave in the same turn.
  void look_at_leaving(GraphId id, Known& known, const coordinator::CoordinatorOptions& options,
                       WallTime now) {
    const bool has_room = options.ended_jobs_max == coordinator::CoordinatorOptions().ended_jobs_max;
    known.left = now;
    if (!known.ended && has_room)
      return trace_.violated("nothing lost: graph " + std::to_string(id.value) +
                             " is gone and had not ended");
    trace_.probe("graph archived");
    if (has_room && now.unix_ms - known.ended->ended.unix_ms < options.keep_ended.count())
      say(id, "has left memory before its time");
  }
  void look_at_archived(GraphId id, Known& known, Disk& disk) {
    if (known.place == Place::kRemoved) {
      if (!is_after_crash_) say(id, "was removed and is back");
      trace_.probe("removal lost in a crash");
    }
    const coordinator::Archive archive(disk);
    scheduler::Cluster past;
    const auto found = archive.find(id, past);
    if (!found || !*found) return say(id, "is listed in the archive and not there");
    if (!known.ended) {
      known.ended = past.graphs.at(id);
      unseen_.graphs[id] = *known.ended;
    }
    if (past.graphs.at(id) != known.ended || known.ended->state == scheduler::GraphState::kActive)
      say(id, "is not in the archive as it ended");
    const auto by_token = archive.with_token(known.token);
    if (!known.token.empty() && (!by_token || !*by_token || (*by_token)->id != id))
      say(id, "is not found by its token in the archive");
  }

  // Those that ended first go first, by age or because there are too many.
  void look_at_gone(std::vector<GraphId>& gone, const Rows& left,
                    const coordinator::CoordinatorOptions& options, WallTime now) {
    const auto order_of = [&](GraphId id) { return std::pair(ended_of(id), id); };
    std::ranges::sort(gone, {}, order_of);
    std::uint64_t jobs = 0;
    for (const auto& [id, row] : left) jobs += row.jobs;
    for (const GraphId id : gone) jobs += jobs_of(id);
    for (const GraphId id : gone) {
      const bool is_old = options.keep_archive > Millis(0) &&
                          now.unix_ms - ended_of(id).unix_ms > options.keep_archive.count();
      const bool is_over = options.archive_jobs_max > 0 && jobs > options.archive_jobs_max;
      trace_.probe(is_old ? "old graph removed from the archive" : "graph removed from a full archive");
      if (!is_old && !is_over) say(id, "was removed before its time");
      for (const auto& [other, row] : left)
        if (std::pair(row.ended, other) < order_of(id)) say(id, "was removed before one that ended earlier");
      jobs -= jobs_of(id);
    }
  }
  void look_for_traces(GraphId id, const Known& known, Disk& disk) {
    scheduler::Cluster past;
    const coordinator::Archive archive(disk);
    const auto found = archive.find(id, past);
    if (!found || *found) say(id, "was removed, but its rows are in the archive");
    const auto by_token = archive.with_token(known.token);
    if (!known.token.empty() && by_token && *by_token && (*by_token)->id == id)
      say(id, "was removed, but is found by its token");
    if (!known.ended) return;
    for (const auto& [name, job] : known.ended->jobs) {
      const auto checkpoints = storage::CheckpointIndex(disk).list(coordinator::run_name({id, name}));
      if (!checkpoints || !checkpoints->empty()) say(id, "was removed, but its checkpoints are listed");
    }
  }

  WallTime ended_of(GraphId id) const {
    const Known& known = graphs_.at(id);
    return known.ended ? known.ended->ended : known.left;
  }
  std::uint64_t jobs_of(GraphId id) const { return graphs_.at(id).jobs; }
  void say(GraphId id, const char* what) {
    trace_.violated("kept: graph " + std::to_string(id.value) + " " + what);
  }

  Trace& trace_;
  std::map<GraphId, Known> graphs_;
  scheduler::Cluster unseen_;
  std::set<GraphId> outputs_;
  std::set<GraphId> removed_;  // once, whether or not it stayed so
  std::optional<std::uint64_t> looked_at_;
  bool is_after_crash_ = false;
};

}  // namespace paddock::simulation
