#include "coordinator/archive.h"

#include <algorithm>
#include <map>
#include <set>
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
  const std::set<GraphId> wanted(graphs.begin(), graphs.end());
  std::map<GraphId, std::string> tokens;
  for (const auto& [token, id] : cluster.tokens) {
    if (wanted.contains(id)) tokens[id] = token;
  }
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

Result<bool> Archive::list_by_end(std::size_t rows) {
  using Step = Listing::Step;
  switch (listing_.step) {
    case Step::kCount:
      TRY(list_rows("ended/", rows, Step::kLook,
                    [this](std::string_view key, std::string_view row) { return count_listed(key, row); }),
          "listing the archive by age");
      break;
    case Step::kLook:
      TRY(list_rows("summary/", rows, Step::kTokens,
                    [this](std::string_view, std::string_view row) { return look_for_unlisted(row); }),
          "listing the archive by age");
      if (listing_.unlisted.empty() && listing_.step == Step::kTokens) listing_.step = Step::kDone;
      break;
    case Step::kTokens:
      TRY(list_rows("token/", rows, Step::kDone,
                    [this](std::string_view key, std::string_view row) { return give_token(key, row); }),
          "listing the archive by age");
      if (listing_.step == Step::kDone) TRY(list_those_without_token(), "listing the archive by age");
      break;
    case Step::kDone:
      break;
  }
  return listing_.step == Step::kDone;
}

Result<void> Archive::list_rows(
    std::string_view kind, std::size_t rows, Listing::Step next,
    const std::function<Result<void>(std::string_view, std::string_view)>& visit) {
  Result<void> outcome;
  std::size_t seen = 0;
  const auto take = [&](std::string_view key, std::string_view row) {
    if (seen++ == rows) return false;
    outcome = visit(key, row);
    if (outcome) listing_.from = std::string(key) + '\0';
    return outcome.has_value();
  };
  TRY(database_->scan(Column::kArchive, kind, take, listing_.from), "reading the archive");
  TRY(outcome, "reading the archive");
  if (seen <= rows) {
    listing_.step = next;
    listing_.from.clear();
  }
  return {};
}

Result<void> Archive::count_listed(std::string_view key, std::string_view row) {
  TRY_ASSIGN(const Ended graph, to_ended(key, row), "counting its jobs");
  jobs_ += graph.jobs;
  return {};
}

Result<void> Archive::look_for_unlisted(std::string_view row) {
  const auto summary = to_graph(row);
  if (!summary) return {};  // newest() says so
  TRY_ASSIGN(const auto listed, database_->get(Column::kArchive, ended_key(*summary)), "looking for its row");
  if (listed) return {};
  Cluster past;
  TRY(find(summary->id, past), "listing what an older version archived");
  const Graph& graph = past.graphs[summary->id];
  // Its row is written once its token is known: a graph with a row is not looked at again.
  jobs_ += graph.jobs.size();
  listing_.unlisted[summary->id] = Ended{summary->id, summary->ended, graph.jobs.size(), ""};
  return {};
}

Result<void> Archive::list_graph(const Ended& graph, const std::string& token) {
  Graph named;
  named.id = graph.id;
  named.ended = graph.ended;
  Batch rows;
  rows.put(Column::kArchive, ended_key(named), ended_row(graph.jobs, token));
  TRY(database_->write(rows, storage::Sync::kLater), "listing what an older version archived");
  return {};
}

Result<void> Archive::give_token(std::string_view key, std::string_view row) {
  const auto id = storage::number_of(row);
  const auto found = id ? listing_.unlisted.find(GraphId{*id}) : listing_.unlisted.end();
  if (found == listing_.unlisted.end()) return {};
  TRY(list_graph(found->second, std::string(key.substr(std::string_view("token/").size()))),
      "giving a graph its token");
  listing_.unlisted.erase(found);
  return {};
}

Result<void> Archive::list_those_without_token() {
  for (const auto& [id, graph] : listing_.unlisted)
    TRY(list_graph(graph, ""), "listing a graph without a token");
  listing_.unlisted.clear();
  return {};
}

// What is added while the rows are still being counted is counted with them, unless their turn is over.
void Archive::note_added(const Cluster& cluster, const std::vector<GraphId>& graphs) {
  for (const GraphId id : graphs) {
    const Graph& graph = cluster.graphs.at(id);
    const bool is_still_to_come = listing_.step == Listing::Step::kCount && ended_key(graph) >= listing_.from;
    if (!is_still_to_come) jobs_ += graph.jobs.size();
  }
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

Result<std::vector<GraphId>> Archive::gone(std::size_t count, GraphId after) const {
  std::vector<GraphId> graphs;
  const auto take = [&](std::string_view key, std::string_view) {
    const auto id = storage::number_of(key.substr(std::string_view("gone/").size()));
    if (id) graphs.push_back(GraphId{*id});
    return graphs.size() < count;
  };
  TRY(database_->scan(Column::kArchive, "gone/", take, gone_key(GraphId{after.value + 1})),
      "looking for removed graphs");
  return graphs;
}

Result<void> Archive::forget_gone(GraphId graph) {
  Batch row;
  row.erase(Column::kArchive, gone_key(graph));
  return database_->write(row, storage::Sync::kLater);
}

}  // namespace paddock::coordinator
