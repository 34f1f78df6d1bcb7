#include "coordinator/archive.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/limits.h"
#include "base/planted_bug.h"
#include "coordinator/answers.h"
#include "coordinator/chunks.h"
#include "coordinator/cluster_record.h"
#include "storage/checkpoint_index.h"

namespace paddock::coordinator {

using scheduler::Cluster;
using scheduler::Graph;
using scheduler::GraphState;
using storage::Batch;
using storage::Column;

namespace {

// Five kinds of rows: the graph in chunks; the graph without its jobs, newest first, so that a list is the beginning of a
// scan; its number by its token; its jobs and token by when it ended, oldest first; the numbers of graphs that have been
// removed, as long as there may be output of them.
std::string whole_key(GraphId id) {
  return "graph/" + storage::key_of(id.value);
}
std::string summary_key(GraphId id) {
  return "summary/" + storage::key_of(~id.value);
}
std::string token_key(const std::string& token) {
  return "token/" + token;
}

std::string ended_key(const Graph& graph) {
  return "ended/" +
         storage::key_of(static_cast<std::uint64_t>(std::max<std::int64_t>(0, graph.ended.unix_ms))) +
         storage::key_of(graph.id.value);
}
std::string gone_key(GraphId id) {
  return "gone/" + storage::key_of(id.value);
}

std::string ended_row(std::uint64_t jobs, const std::string& token) {
  return storage::key_of(jobs) + token;
}

Result<Archive::Ended> to_ended(std::string_view key, std::string_view row) {
  key.remove_prefix(std::min<std::size_t>(key.size(), std::string_view("ended/").size()));
  if (key.size() != 16 || row.size() < 8)
    return fail(Code::kCorrupt, "a row of the archive by age is damaged");
  return Archive::Ended{GraphId{*storage::number_of(key.substr(8))},
                        WallTime{static_cast<std::int64_t>(*storage::number_of(key.substr(0, 8)))},
                        *storage::number_of(row.substr(0, 8)), std::string(row.substr(8))};
}

Graph without_jobs(const Graph& graph) {
  Graph summary;
  summary.id = graph.id;
  summary.name = graph.name;
  summary.tenant = graph.tenant;
  summary.priority = graph.priority;
  summary.state = graph.state;
  summary.cancelled = graph.cancelled;
  summary.submitted = graph.submitted;
  summary.ended = graph.ended;
  summary.retry_of = graph.retry_of;
  summary.schedule = graph.schedule;
  summary.scheduled_for = graph.scheduled_for;
  return summary;
}

}  // namespace

std::vector<GraphId> graphs_to_archive(const Cluster& cluster, WallTime now, Millis keep,
                                       std::uint64_t jobs_max) {
  std::vector<const Graph*> ended;
  std::uint64_t jobs = 0;
  for (const auto& [id, graph] : cluster.graphs) {
    if (graph.state == GraphState::kActive) continue;
    ended.push_back(&graph);
    jobs += graph.jobs.size();
  }
  std::ranges::sort(ended, {}, [](const Graph* graph) { return std::pair(graph->ended, graph->id); });
  std::vector<GraphId> chosen;
  for (const Graph* graph : ended) {
    const bool is_old = now.unix_ms - graph->ended.unix_ms >= keep.count();
    if ((!is_old && jobs <= jobs_max) || chosen.size() >= limits::kGraphsPerArchivingMax) break;
    chosen.push_back(graph->id);
    jobs -= graph->jobs.size();
  }
  return chosen;
}

Batch Archive::rows_of(const Cluster& cluster, const std::vector<GraphId>& graphs) {
  Batch rows;
  std::map<GraphId, std::string> tokens;
  for (const auto& [token, id] : cluster.tokens) tokens[id] = token;
  for (const GraphId id : graphs) {
    const Graph& graph = cluster.graphs.at(id);
    for (const Batch& chunk : chunks_of(Column::kArchive, whole_key(id), to_bytes(graph))) rows.append(chunk);
    rows.put(Column::kArchive, summary_key(id), to_bytes(without_jobs(graph)));
    const auto token = tokens.find(id);
    if (token != tokens.end())
      rows.put(Column::kArchive, token_key(token->second), storage::key_of(id.value));
    rows.put(Column::kArchive, ended_key(graph),
             ended_row(graph.jobs.size(), token == tokens.end() ? "" : token->second));
  }
  return rows;
}

Result<bool> Archive::find(GraphId id, Cluster& past) const {
  TRY_ASSIGN(const std::string bytes, read_chunks(*database_, Column::kArchive, whole_key(id)),
             "looking into the archive");
  if (bytes.empty()) return false;
  TRY_ASSIGN(Graph graph, to_graph(bytes), "graph " + std::to_string(id.value) + " of the archive");
  past.graphs[id] = std::move(graph);
  return true;
}

Result<std::vector<Graph>> Archive::newest() const {
  std::vector<Graph> graphs;
  Result<void> outcome;
  const auto take = [&](std::string_view, std::string_view row) {
    auto graph = to_graph(row);
    if (!graph) outcome = tl::unexpected(graph.error().within("a graph of the archive"));
    if (graph) graphs.push_back(*std::move(graph));
    return outcome.has_value() && graphs.size() < kArchivedListedMax;
  };
  TRY(database_->scan(Column::kArchive, "summary/", take), "listing the archive");
  TRY(outcome, "listing the archive");
  std::ranges::reverse(graphs);
  return graphs;
}

Result<std::optional<Graph>> Archive::with_token(const std::string& token) const {
  TRY_ASSIGN(const auto row, database_->get(Column::kArchive, token_key(token)), "looking into the archive");
  const auto number = row ? storage::number_of(*row) : std::nullopt;
  if (!number) return std::optional<Graph>();
  TRY_ASSIGN(const auto summary, database_->get(Column::kArchive, summary_key(GraphId{*number})),
             "looking into the archive");
  if (!summary) return std::optional<Graph>();
  TRY_ASSIGN(Graph graph, to_graph(*summary), "a graph of the archive");
  return std::optional<Graph>(std::move(graph));
}

Result<std::vector<Archive::Ended>> Archive::oldest(std::size_t count) const {
  std::vector<Ended> graphs;
  Result<void> outcome;
  const auto take = [&](std::string_view key, std::string_view row) {
    auto graph = to_ended(key, row);
    if (!graph) outcome = tl::unexpected(graph.error());
    if (graph) graphs.push_back(*std::move(graph));
    return outcome.has_value() && graphs.size() < count;
  };
  if (count > 0) TRY(database_->scan(Column::kArchive, "ended/", take), "listing the archive by age");
  TRY(outcome, "listing the archive by age");
  return graphs;
}

Result<void> Archive::list_by_end() {
  std::map<GraphId, std::uint64_t> listed;
  Result<void> outcome;
  const auto count = [&](std::string_view key, std::string_view row) {
    const auto graph = to_ended(key, row);
    if (graph) listed[graph->id] = graph->jobs;
    if (!graph) outcome = tl::unexpected(graph.error());
    return outcome.has_value();
  };
  TRY(database_->scan(Column::kArchive, "ended/", count), "listing the archive by age");
  TRY(outcome, "listing the archive by age");
  std::map<GraphId, std::string> tokens;
  const auto take_token = [&](std::string_view key, std::string_view row) {
    if (const auto id = storage::number_of(row))
      tokens[GraphId{*id}] = key.substr(std::string_view("token/").size());
    return true;
  };
  TRY(database_->scan(Column::kArchive, "token/", take_token), "listing the archive by age");
  std::vector<GraphId> missing;
  const auto look = [&](std::string_view, std::string_view row) {
    const auto graph = to_graph(row);
    if (graph && !listed.contains(graph->id)) missing.push_back(graph->id);
    return true;
  };
  TRY(database_->scan(Column::kArchive, "summary/", look), "listing the archive by age");
  for (const GraphId id : missing) {
    Cluster past;
    TRY(find(id, past), "listing the archive by age");
    const Graph& graph = past.graphs[id];
    Batch row;
    row.put(Column::kArchive, ended_key(graph), ended_row(graph.jobs.size(), tokens[id]));
    TRY(database_->write(row, storage::Sync::kLater), "listing the archive by age");
    listed[id] = graph.jobs.size();
  }
  jobs_ = 0;
  for (const auto& [id, jobs] : listed) jobs_ += jobs;
  return {};
}

void Archive::note_added(const Cluster& cluster, const std::vector<GraphId>& graphs) {
  for (const GraphId id : graphs) jobs_ += cluster.graphs.at(id).jobs.size();
}

Result<void> Archive::remove(const Ended& graph) {
  Graph named;
  named.id = graph.id;
  named.ended = graph.ended;
  Batch rows;
  rows.erase_range(Column::kArchive, whole_key(graph.id), whole_key(GraphId{graph.id.value + 1}));
  rows.erase(Column::kArchive, summary_key(graph.id));
  if (!graph.token.empty()) rows.erase(Column::kArchive, token_key(graph.token));
  rows.erase(Column::kArchive, ended_key(named));
  rows.put(Column::kArchive, gone_key(graph.id), "");
  if (!is_planted(PlantedBug::kKeepRows)) storage::CheckpointIndex::forget_runs(runs_of(graph.id), rows);
  TRY(database_->write(rows, storage::Sync::kLater), "removing a graph from the archive");
  jobs_ -= std::min(jobs_, graph.jobs);
  return {};
}

Result<std::vector<GraphId>> Archive::gone(std::size_t count) const {
  std::vector<GraphId> graphs;
  const auto take = [&](std::string_view key, std::string_view) {
    const auto id = storage::number_of(key.substr(std::string_view("gone/").size()));
    if (id) graphs.push_back(GraphId{*id});
    return graphs.size() < count;
  };
  TRY(database_->scan(Column::kArchive, "gone/", take), "looking for removed graphs");
  return graphs;
}

Result<void> Archive::forget_gone(GraphId graph) {
  Batch row;
  row.erase(Column::kArchive, gone_key(graph));
  return database_->write(row, storage::Sync::kLater);
}

}  // namespace paddock::coordinator
