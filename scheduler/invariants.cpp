// 1. A job has at most one live attempt, its newest, and is running exactly then.
// 2. A gang is whole: so many ranks on each of its nodes, of which it has as many as it may do with, each rank with
// its GPUs.
// 3. A node's free resources are what it offers less what live ranks (and the ports of live attempts) hold;
// no GPU and
//    no port is held twice.
// 4. A rank that has not ended is on a ready node, of the generation that it was placed on.
// 5. The queue holds exactly the queued jobs, `backoffs` exactly those that back off.
// 6. A job waits exactly while a need of it is open, and counts those; one that goes on has no need that came to
// something else than it waits for.
// 7. A graph is active exactly while it has jobs that are not terminal, and counts them and the bad ones right.
// 8. Fences are handed out once, rise within a job, and find their attempt.
// 9. A stage that is worked on has one owner, from its first attempt to its end; no other job runs with its
// key.
// 10. `time_limits` holds exactly the live attempts that have a limit and are not being ended.
// 11. A node that an operator drains or that is cordoned takes nothing new; `cordons` holds exactly those that end.
// 12. What a tenant uses is what its live ranks hold, and no more.
// 13. Nodes are kept for queued jobs that fit there once they are empty, take work, and are kept once; a class waits exactly
// while a job of it does.
// 14. The index is what it would be if it were made anew.
// 15. The runs of a schedule that go are the active graphs of its tenant that say so; one that waits has something to wait for.
// 16. On a reserved node runs only what is its tenants' or is being ended; before, nothing was placed that might run into
// it.
#include "scheduler/invariants.h"

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "scheduler/edges.h"

namespace paddock::scheduler {
namespace {

class Checker {
 public:
  explicit Checker(const Cluster& cluster) : cluster_(cluster) {}

  std::vector<std::string> run() {
    for (const auto& [name, node] : cluster_.nodes) left_[name] = all_of(node.offer);
    for (const auto& [id, graph] : cluster_.graphs) check_graph_of(graph);
    std::size_t cordons = 0;
    for (const auto& [name, node] : cluster_.nodes) {
      expect(left_[name] == node.free, "3: the free resources of ", name, " are not what is left");
      expect(live_[name] == node.attempts, "3: the attempts of ", name, " are not those that run there");
      const bool ends = node.cordon && node.cordon->ends_at > Instant{};
      cordons += ends ? 1 : 0;
      expect(!ends || cluster_.cordons.contains({node.cordon->ends_at, name}), "11: the cordon of ", name,
             " would not end");
    }
    expect(cordons == cluster_.cordons.size(), "11: ", cordons, " cordons end, the set has ",
           cluster_.cordons.size());
    for (const auto& [name, tenant] : cluster_.tenants)
      expect(used_[name] == tenant.used, "12: tenant ", name, " does not use what its ranks hold");
    check_holds();
    check_schedules();
    check_reservations();
    const Index anew = rebuilt(cluster_);
    expect(cluster_.index == anew && cluster_.index.leases == anew.leases,
           "14: the index is not what is there");
    expect(queued_ == cluster_.queue.size(), "5: ", queued_, " jobs are queued, the queue has ",
           cluster_.queue.size());
    expect(backing_off_ == cluster_.backoffs.size(), "5: ", backing_off_, " jobs back off, the set has ",
           cluster_.backoffs.size());
    expect(attempts_ == cluster_.attempts.size(), "8: ", attempts_, " attempts, the index has ",
           cluster_.attempts.size());
    expect(limited_ == cluster_.time_limits.size(), "10: ", limited_, " attempts have a limit, the set has ",
           cluster_.time_limits.size());
    for (const auto& [stage, owner] : cluster_.stage_owners) {
      const Job* job = find_job(cluster_, owner);
      expect(job != nullptr && job->launch.stage_key == stage &&
                 (job->state == JobState::kRunning || job->state == JobState::kBackingOff ||
                  job->state == JobState::kQueued),
             "9: ", owner, " owns a stage that it does not work on");
    }
    return std::move(broken_);
  }

 private:
  template <typename... Parts>
  void expect(bool holds, const Parts&... parts) {
    if (holds) return;
    std::ostringstream text;
    (text << ... << parts);
    broken_.push_back(text.str());
  }

  void check_holds() {
    std::set<NodeId> kept;
    for (const Hold& hold : cluster_.holds) {
      const Job* job = find_job(cluster_, hold.job);
      expect(job != nullptr && job->state == JobState::kQueued, "13: nodes are kept for ", hold.job,
             ", which is not queued");
      for (const NodeId& node : hold.nodes) {
        expect(kept.insert(node).second, "13: ", node, " is kept twice");
        const Node& kept_node = cluster_.nodes.at(node);
        expect(kept_node.takes_work(), "13: ", node, " is kept though it takes no work");
        if (job == nullptr) continue;
        const Request& request = job->request.resources;
        expect(cluster_.rules < 3 || room_when_empty(request, kept_node.offer).holds(request), "13: ", node,
               " is kept for ", hold.job, ", which can never run there");
      }
    }
    std::set<std::pair<std::string, std::int64_t>> classes;
    for (const auto& [key, groups] : cluster_.index.groups.classes()) classes.insert(key);
    for (const auto& [waiting, since] : cluster_.waits)
      expect(classes.contains(waiting), "13: priority ", waiting.second, " of ", waiting.first,
             " waits without a job");
    for (const auto& waiting : classes)
      expect(cluster_.waits.contains(waiting), "13: priority ", waiting.second, " of ", waiting.first,
             " never rises");
  }

  void check_reservations() {
    for (const auto& [name, reservation] : cluster_.reservations) {
      for (const auto& [fence, key] : cluster_.attempts) {
        const FoundConst found = find_attempt(cluster_, fence);
        if (found.attempt == nullptr || !found.attempt->is_live() || found.attempt->ending ||
            reservation.tenants.contains(find_graph(cluster_, key.job.graph)->tenant) ||
            std::ranges::none_of(found.attempt->ranks, [&](const Rank& rank) {
              return rank.state != RankState::kEnded && reservation.nodes.contains(rank.node);
            }))
          continue;
        expect(!reservation.has_begun, "16: ", key.job, " runs on a node that is reserved (", name, ")");
        const JobRequest& job = found.job->request;
        const std::int64_t ends = found.attempt->started.unix_ms + (job.time_limit + job.grace).count();
        expect(found.attempt->started <= reservation.made ||
                   (job.time_limit > Millis(0) && ends <= reservation.begins.unix_ms),
               "16: ", key.job, " may run into reservation ", name);
      }
    }
  }

  void check_schedules() {
    std::map<std::pair<std::string, std::string>, std::set<GraphId>> active;  // by schedule and tenant
    for (const auto& [id, graph] : cluster_.graphs) {
      if (graph.state == GraphState::kActive) active[{graph.schedule, graph.tenant}].insert(id);
    }
    for (const auto& [name, schedule] : cluster_.schedules) {
      const std::set<GraphId>& its = active[{name, schedule.tenant}];
      expect(its == schedule.going || cluster_.rules < 4, "15: ", schedule.going.size(), " runs of ", name,
             " go, there are ", its.size());
      expect(schedule.waiting.empty() || schedule.is_paused || !schedule.going.empty(), "15: a run of ", name,
             " waits for nothing");
      expect(schedule.going.size() < 2, "15: runs of ", name, " overlap");
    }
  }

  void check_graph_of(const Graph& graph) {
    std::uint64_t open = 0;
    std::uint64_t bad = 0;
    for (const auto& [name, job] : graph.jobs) {
      open += is_terminal(job.state) ? 0 : 1;
      bad += is_bad(job) ? 1 : 0;
      check_job(graph, JobKey{graph.id, name}, job);
    }
    expect(open == graph.jobs_open, "7: graph ", graph.id, " has ", open, " open jobs, counts ",
           graph.jobs_open);
    expect(count_states(graph) == graph.in_state, "7: graph ", graph.id,
           " counts the states of its jobs wrong");
    expect(bad == graph.jobs_bad, "7: graph ", graph.id, " has ", bad, " bad jobs, counts ", graph.jobs_bad);
    expect((graph.state == GraphState::kActive) == (open > 0), "7: graph ", graph.id, " is ",
           name_of(graph.state));
  }

  void check_job(const Graph& graph, const JobKey& key, const Job& job) {
    Fence last;
    for (const Attempt& attempt : job.attempts) {
      expect(last < attempt.fence && attempt.fence.value < cluster_.next_fence, "8: fences of ", key,
             " do not rise");
      last = attempt.fence;
      const bool is_newest = &attempt == &job.attempts.back();
      expect(is_newest || !attempt.is_live(), "1: an old attempt of ", key, " lives");
      expect(find_attempt(cluster_, attempt.fence).attempt == &attempt, "8: an attempt of ", key,
             " is not found");
      if (attempt.is_live()) check_attempt(key, job, attempt);
      ++attempts_;
    }
    expect((job.state == JobState::kRunning) == (job.live_attempt() != nullptr), "1: ", key, " is ",
           name_of(job.state), " but its attempt says otherwise");
    queued_ += job.state == JobState::kQueued ? 1 : 0;
    backing_off_ += job.state == JobState::kBackingOff ? 1 : 0;
    expect(job.state != JobState::kQueued ||
               cluster_.queue.contains(Queued{-graph.priority, graph.id, job.index, key.job}),
           "5: ", key, " is queued but not in the queue");
    expect(job.state != JobState::kBackingOff || cluster_.backoffs.contains({job.retry_at, key}), "5: ", key,
           " backs off without an end");
    check_cause(graph, key, job);
    if (job.state == JobState::kRunning && !job.launch.stage_key.empty()) {
      const auto owner = cluster_.stage_owners.find(job.launch.stage_key);
      expect(owner != cluster_.stage_owners.end() && owner->second == key, "9: ", key,
             " runs a stage that it does not own");
    }
  }

  void check_cause(const Graph& graph, const JobKey& key, const Job& job) {
    if (is_terminal(job.state)) return;
    std::uint32_t open = 0;
    for (const JobName& need : std::set<JobName>(job.request.needs.begin(), job.request.needs.end())) {
      const EdgeState edge = state_of(edge_of(job.request, need), graph.jobs.at(need));
      open += edge == EdgeState::kOpen ? 1 : 0;
      expect(edge != EdgeState::kBroken, "6: ", key, " goes on though ", need, " came to something else");
    }
    expect(open == job.needs_open, "6: ", key, " has ", open, " open needs, counts ", job.needs_open);
    expect((job.state == JobState::kWaiting) == (open > 0), "6: ", key, " is ", name_of(job.state),
           " without cause");
  }

  void check_attempt(const JobKey& key, const Job& job, const Attempt& attempt) {
    const Request& request = job.request.resources;
    std::set<NodeId> nodes;
    bool has_open = false;
    for (const Rank& rank : attempt.ranks) {
      nodes.insert(rank.node);
      expect(rank.gpus.size() == request.gpus_per_rank, "2: a rank of ", key, " has ", rank.gpus.size(),
             " GPUs");
      if (rank.state == RankState::kEnded) continue;
      has_open = true;
      check_rank(key, request, attempt, rank);
      Usage& used = used_[find_graph(cluster_, key.graph)->tenant];
      used.cpus += request.cpus_per_rank;
      used.gpus += request.gpus_per_rank;
      used.memory_bytes += request.memory_bytes_per_rank;
    }
    expect(attempt.ranks.size() == nodes.size() * request.ranks_per_node &&
               nodes.size() >= request.fewest_nodes() && nodes.size() <= request.nodes,
           "2: the gang of ", key, " has ", attempt.ranks.size(), " ranks on ", nodes.size(), " nodes");
    if (job.request.time_limit > Millis(0) && !attempt.ending) {
      ++limited_;
      expect(cluster_.time_limits.contains({attempt.started_at + job.request.time_limit, attempt.fence}),
             "10: ", key, " runs without its time limit");
    }
    expect(has_open, "1: all ranks of ", key, " have ended but it goes on");
    const Rank& master = attempt.ranks.front();
    const auto node = cluster_.nodes.find(master.node);
    if (node != cluster_.nodes.end() && node->second.generation == master.generation) {
      expect(left_[master.node].ports.erase(attempt.master_port) == 1, "3: port ", attempt.master_port,
             " of ", master.node, " is held twice");
    }
  }

  void check_rank(const JobKey& key, const Request& request, const Attempt& attempt, const Rank& rank) {
    const auto node = cluster_.nodes.find(rank.node);
    if (node == cluster_.nodes.end() || !node->second.is_ready ||
        node->second.generation != rank.generation) {
      return expect(false, "4: a rank of ", key, " is on ", rank.node, ", which is gone");
    }
    live_[rank.node].insert(attempt.fence);
    Free& left = left_[rank.node];
    if (left.cpus < request.cpus_per_rank || left.memory_bytes < request.memory_bytes_per_rank) {
      return expect(false, "3: ", rank.node, " has given out more than it has");
    }
    left.cpus -= request.cpus_per_rank;
    left.memory_bytes -= request.memory_bytes_per_rank;
    for (const std::string& gpu : rank.gpus) {
      expect(left.gpus.erase(gpu) == 1 || !is_well(node->second.offer, gpu), "3: GPU ", gpu, " of ",
             rank.node, " is held twice");
    }
  }

  const Cluster& cluster_;
  std::map<NodeId, Free> left_;
  std::map<NodeId, std::set<Fence>> live_;
  std::size_t queued_ = 0;
  std::size_t backing_off_ = 0;
  std::size_t attempts_ = 0;
  std::size_t limited_ = 0;
  std::map<std::string, Usage> used_;
  std::vector<std::string> broken_;
};

}  // namespace

std::vector<std::string> check_invariants(const Cluster& cluster) {
  return Checker(cluster).run();
}

}  // namespace paddock::scheduler
