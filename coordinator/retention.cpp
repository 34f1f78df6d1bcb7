#include "coordinator/retention.h"

#include "base/limits.h"
#include "base/planted_bug.h"

namespace paddock::coordinator {

bool Retention::is_due(const Archive::Ended& graph, WallTime now) const {
  const bool is_old = options_.keep_archive > Millis(0) &&
                      (now.unix_ms - graph.ended.unix_ms > options_.keep_archive.count() ||
                       is_planted(PlantedBug::kRemoveEarly));
  return is_old || (options_.archive_jobs_max > 0 && archive_.jobs() > options_.archive_jobs_max);
}

Result<bool> Retention::look(WallTime now) {
  TRY_ASSIGN(bool has_more, remove_logs(), "removing the output of old graphs");
  if (options_.keep_archive == Millis(0) && options_.archive_jobs_max == 0) return has_more;
  if (!is_listed_) {
    TRY_ASSIGN(is_listed_, archive_.list_by_end(limits::kArchiveRowsListedAtOnceMax),
               "listing the archive by age");
    if (!is_listed_) return true;
  }
  TRY_ASSIGN(const auto oldest, archive_.oldest(limits::kGraphsRemovedAtOnceMax), "looking for old graphs");
  std::size_t removed = 0;
  for (const Archive::Ended& graph : oldest) {
    if (!is_due(graph, now)) break;
    TRY(archive_.remove(graph), "removing an old graph");
    ++removed;
  }
  if (removed > 0)
    log_.info("archived_graphs_removed", {{"graphs", removed}, {"jobs_left", archive_.jobs()}});
  return has_more || removed > 0;
}

// Of the graphs that are gone already, one after the other; those that are stuck have their next turn with the next round.
Result<bool> Retention::remove_logs() {
  TRY_ASSIGN(const auto gone, archive_.gone(limits::kGraphsRemovedAtOnceMax, looked_at_),
             "looking for removed graphs");
  for (const GraphId graph : gone) {
    const auto is_done = is_planted(PlantedBug::kKeepOutput)
                             ? Result<bool>(true)
                             : logs_.remove_some(graph, limits::kLogsRemovedAtOnceMax);
    if (is_done && !*is_done) return true;
    looked_at_ = graph;
    if (!is_done) {
      note_stuck(graph, is_done.error());
      continue;
    }
    TRY(archive_.forget_gone(graph), "forgetting a removed graph");
    stuck_.erase(graph);
  }
  if (gone.size() == limits::kGraphsRemovedAtOnceMax) return true;
  looked_at_ = GraphId{};
  return false;
}

void Retention::note_stuck(GraphId graph, const Error& error) {
  if (!stuck_.insert(graph).second) return;
  log_.error(
      "logs_not_removed",
      {{"graph", graph.value},
       {"reason", "the output of a graph that is kept no longer cannot be removed: " + error.message +
                      "; remove it by hand, or let the coordinator do it: it tries again now and then"}});
}

}  // namespace paddock::coordinator
