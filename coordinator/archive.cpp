#include "coordinator/archive.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/limits.h"
#include "coordinator/chunks.h"
#include "coordinator/cluster_record.h"

namespace paddock::coordinator {

using scheduler::Cluster;
using scheduler::Graph;
using scheduler::GraphState;
using storage::Batch;
using storage::Column;

namespace {

// Three kinds of rows: the graph in chunks, the graph without its jobs, and its number by its token. Newest
// first, so that a list is the beginning of a scan.
std::string whole_key(GraphId id) {
  return "graph/" + storage::key_of(id.value);
}
std::string summary_key(GraphId id) {
  return "summary/" + storage::key_of(~id.value);
}
std::string token_key(const std::string& token) {
  return "token/" + token;
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
    if (const auto token = tokens.find(id); token != tokens.end()) {
      rows.put(Column::kArchive, token_key(token->second), storage::key_of(id.value));
    }
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

}  // namespace paddock::coordinator
