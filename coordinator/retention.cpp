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
  if (!is_listed_) TRY(archive_.list_by_end(), "listing the archive by age");
  is_listed_ = true;
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

// Of the graphs that are gone already.
Result<bool> Retention::remove_logs() {
  TRY_ASSIGN(const auto gone, archive_.gone(limits::kGraphsRemovedAtOnceMax), "looking for removed graphs");
  for (const GraphId graph : gone) {
    const auto is_done = is_planted(PlantedBug::kKeepOutput)
                             ? Result<bool>(true)
                             : logs_.remove_some(graph, limits::kLogsRemovedAtOnceMax);
    if (!is_done) {
      log_.warn("logs_not_removed", {{"graph", graph.value}, {"reason", is_done.error().message}});
      return false;
    }
    if (!*is_done) return true;
    TRY(archive_.forget_gone(graph), "forgetting a removed graph");
  }
  return gone.size() == limits::kGraphsRemovedAtOnceMax;
}

}  // namespace paddock::coordinator
