// coordinator/archive.h – graphs that ended some time ago: out of the cluster, so that its memory stays bounded,
// but still shown. Column "archive" of the database; format: docs/journal-format.md. Threads: the
// coordinator's own.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "scheduler/cluster.h"
#include "storage/tables.h"

namespace paddock::coordinator {

// How many of its newest graphs a list shows.
inline constexpr std::size_t kArchivedListedMax = 1'000;

// The graphs that are to leave `cluster` now, oldest first, at most limits::kGraphsPerArchivingMax: those that
// ended longer than `keep` ago, and as many more as leave at most `jobs_max` jobs of ended graphs.
std::vector<GraphId> graphs_to_archive(const scheduler::Cluster& cluster, WallTime now, Millis keep,
                                       std::uint64_t jobs_max);

class Archive {
 public:
  // `database` is not owned and outlives this.
  explicit Archive(storage::Tables& database) : database_(&database) {}

  // The rows of `graphs`, to be written together with the event GraphsArchived.
  static storage::Batch rows_of(const scheduler::Cluster& cluster, const std::vector<GraphId>& graphs);

  // A graph by when it ended.
  struct Ended {
    GraphId id;
    WallTime ended;
    std::uint64_t jobs = 0;
    std::string token;  // "": it has none
  };
  // So many at most, the one that ended first first.
  Result<std::vector<Ended>> oldest(std::size_t count) const;
  // Counts the jobs of all, and lists by their end those that an older version archived: goes on with it for so many rows.
  // True: it is done, which jobs() and remove() need.
  Result<bool> list_by_end(std::size_t rows);
  std::uint64_t jobs() const { return jobs_; }
  // For good, and what is known of its checkpoints. Its number is given by gone() until forget_gone().
  Result<void> remove(const Ended& graph);
  // So many at most, those with numbers above `after`.
  Result<std::vector<GraphId>> gone(std::size_t count, GraphId after = {}) const;
  Result<void> forget_gone(GraphId graph);
  // rows_of(…) have been written.
  void note_added(const scheduler::Cluster& cluster, const std::vector<GraphId>& graphs);

  // Puts the graph into `past`, so that it can be shown like one of the cluster. False: it is not here.
  Result<bool> find(GraphId id, scheduler::Cluster& past) const;
  // The newest, by rising id, without their jobs.
  Result<std::vector<scheduler::Graph>> newest() const;
  // The graph that was submitted with the token.
  Result<std::optional<scheduler::Graph>> with_token(const std::string& token) const;

 private:
  // Where list_by_end() is: it counts what is listed, looks for graphs that are not, and gives those their tokens.
  struct Listing {
    enum class Step { kCount, kLook, kTokens, kDone } step = Step::kCount;
    std::string from;                     // the first key that was not seen in this step
    std::map<GraphId, Ended> unlisted{};  // without a row yet
  };
  // Calls `visit(key, row)` for so many rows of the step's kind, from where the last call ended; then the next step begins.
  Result<void> list_rows(std::string_view kind, std::size_t rows, Listing::Step next,
                         const std::function<Result<void>(std::string_view, std::string_view)>& visit);
  Result<void> count_listed(std::string_view key, std::string_view row);
  Result<void> look_for_unlisted(std::string_view row);
  Result<void> give_token(std::string_view key, std::string_view row);
  Result<void> list_those_without_token();
  Result<void> list_graph(const Ended& graph, const std::string& token);

  storage::Tables* database_;
  std::uint64_t jobs_ = 0;  // of the graphs that were counted
  Listing listing_;
};

}  // namespace paddock::coordinator
