// tests/scheduler/scenario.h – a cluster to tell stories about, one line an action.
// After every event: the invariants, that terminal jobs stay as they are, and at the end that the journal
// replays to the same cluster. Jobs are prepared at once unless told otherwise; nodes are heard of until they
// fall silent.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <initializer_list>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "scheduler/apply.h"
#include "scheduler/explain.h"
#include "scheduler/invariants.h"
#include "scheduler/lease.h"
#include "scheduler/reconcile.h"

namespace paddock::scheduler {

using namespace std::chrono_literals;

// A job to submit: `job("train").needs({"data"}).gang(2, 2).retry(3, 10s)`.
struct JobBuilder {
  JobRequest request;
  std::string stage;

  JobBuilder needs(std::initializer_list<const char*> names) && {
    for (const char* name : names) request.needs.emplace_back(name);
    return std::move(*this);
  }
  JobBuilder on(const char* need, On edge) && {
    request.on[JobName{need}] = edge;
    return std::move(*this);
  }
  JobBuilder not_on(std::set<std::string> classes) && {
    request.retry.edit().not_on = std::move(classes);
    return std::move(*this);
  }
  JobBuilder gpu_kind(std::string kind) && {
    request.resources.edit().gpu_model = std::move(kind);
    return std::move(*this);
  }
  JobBuilder gpu_memory(std::uint64_t bytes) && {
    request.resources.edit().gpu_memory_bytes = bytes;
    return std::move(*this);
  }
  JobBuilder label(const char* name, const char* value) && {
    request.resources.edit().labels[name] = value;
    return std::move(*this);
  }
  JobBuilder avoid(const char* name, const char* value) && {
    request.resources.edit().avoid[name] = value;
    return std::move(*this);
  }
  JobBuilder apart(std::string from) && {
    request.resources.edit().apart = std::move(from);
    return std::move(*this);
  }
  JobBuilder at_least(std::uint32_t nodes) && {
    request.resources.edit().nodes_min = nodes;
    return std::move(*this);
  }
  JobBuilder preemptible() && {
    request.is_preemptible = true;
    return std::move(*this);
  }
  JobBuilder time_limit(Millis limit) && {
    request.time_limit = limit;
    return std::move(*this);
  }
  JobBuilder gang(std::uint32_t nodes, std::uint32_t ranks_per_node) && {
    request.resources.edit().nodes = nodes;
    request.resources.edit().ranks_per_node = ranks_per_node;
    return std::move(*this);
  }
  JobBuilder cpus(std::uint32_t cpus) && {
    request.resources.edit().cpus_per_rank = cpus;
    return std::move(*this);
  }
  JobBuilder gpus(std::uint32_t gpus) && {
    request.resources.edit().gpus_per_rank = gpus;
    return std::move(*this);
  }
  JobBuilder memory(std::uint64_t bytes) && {
    request.resources.edit().memory_bytes_per_rank = bytes;
    return std::move(*this);
  }
  JobBuilder retry(std::int32_t limit, Millis backoff) && {
    request.retry = RetryRule{limit, backoff, 2'000};
    return std::move(*this);
  }
  JobBuilder work(std::string key) && {
    stage = std::move(key);
    return std::move(*this);
  }
};

inline JobBuilder job(const char* name) {
  JobBuilder builder;
  builder.request.name = JobName{name};
  builder.request.kind = "command";
  builder.request.grace = 10s;
  return builder;
}

class Scenario {
 public:
  static constexpr Millis kLease = 15s;

  ~Scenario() {
    Cluster replayed;
    Effects ignored;
    for (const Event& event : journal_) apply(replayed, event, ignored);
    EXPECT_TRUE(without_leases(replayed) == without_leases(cluster))
        << "the journal replays to another cluster";
  }

  void happen(What what, bool is_followed = false) {
    const Event event{Moment{now, WallTime{1'000'000 + now.ms}}, std::move(what), is_followed};
    if (!std::holds_alternative<NodeSeen>(event.what)) journal_.push_back(event);
    const std::size_t before = effects.size();
    apply(cluster, event, effects);
    check();
    if (prepares_by_itself) prepare_asked(before);
  }

  void join(const char* name, std::uint32_t cpus, std::uint32_t gpus = 0, std::uint64_t incarnation = 1,
            std::uint64_t memory_bytes = 1u << 30) {
    Offer offer{cpus, memory_bytes, {}, {}};
    for (std::uint32_t i = 0; i < gpus; ++i) {
      offer.gpus.push_back(Gpu{std::string("GPU-") + name + std::to_string(i), "H100", 80ull << 30});
    }
    for (std::uint16_t port = 0; port < 16; ++port)
      offer.ports.push_back(static_cast<std::uint16_t>(29'500 + port));
    join(name, offer, incarnation);
  }
  void join(const char* name, const Offer& offer, std::uint64_t incarnation = 1) {
    silent_.erase(NodeId{name});
    happen(NodeJoined{NodeId{name}, incarnation, "127.0.0.1", offer, now + kLease});
  }

  GraphId submit(std::vector<JobBuilder> builders, std::int64_t priority = 0, const std::string& token = "",
                 const std::string& tenant = kTenantDefault) {
    GraphSubmitted submitted{
        "graph", priority, token.empty() ? "token-" + std::to_string(++tokens_) : token, {}, kTenantDefault};
    submitted.tenant = tenant;
    for (JobBuilder& builder : builders) {
      if (!builder.stage.empty()) stages_[builder.request.name] = builder.stage;
      submitted.jobs.push_back(builder.request);
    }
    happen(submitted);
    return GraphId{cluster.next_graph - 1};
  }
  void cancel(GraphId graph) { happen(GraphCancelled{graph, "cancelled by a user"}); }

  // Time passes in steps of a second; nodes that are not silent send heartbeats.
  void pass(Millis duration) {
    const Instant end = now + duration;
    while (now < end) {
      now = std::min(end, now + 1s);
      for (const auto& [name, node] : std::map(cluster.nodes)) {
        if (node.is_ready && !silent_.contains(name)) happen(NodeSeen{name, node.incarnation, now + kLease});
      }
      for (const What& what : due(cluster, now)) happen(what);
    }
  }
  void fall_silent(const char* node) { silent_.insert(NodeId{node}); }

  void start(GraphId graph, const char* name) {
    const Attempt attempt = newest(graph, name);
    for (std::uint32_t i = 0; i < attempt.ranks.size(); ++i)
      happen(RankStarted{attempt.fence, RankId{i}, 4'000 + i});
  }
  void end(GraphId graph, const char* name, std::uint32_t rank, std::int32_t exit_code) {
    happen(RankEnded{newest(graph, name).fence, RankId{rank}, exit_code, 0,
                     "exited " + std::to_string(exit_code), false, false});
  }
  void end_all(GraphId graph, const char* name, std::int32_t exit_code) {
    const std::size_t ranks = newest(graph, name).ranks.size();
    for (std::uint32_t i = 0; i < ranks; ++i) end(graph, name, i, exit_code);
  }

  const Job& at(GraphId graph, const char* name) const {
    return cluster.graphs.at(graph).jobs.at(JobName{name});
  }
  Attempt newest(GraphId graph, const char* name) const { return at(graph, name).attempts.back(); }
  std::string state(GraphId graph, const char* name) const {
    return std::string(name_of(at(graph, name).state));
  }
  std::string state(GraphId graph) const { return std::string(name_of(cluster.graphs.at(graph).state)); }
  std::string why(GraphId graph, const char* name) const {
    return explain(cluster, JobKey{graph, JobName{name}}, {now, WallTime{1'000'000 + now.ms}});
  }

  // The effects of this kind since the last call of take().
  template <typename Kind>
  std::vector<Kind> taken() {
    std::vector<Kind> kind;
    for (const Effect& effect : effects) {
      if (const auto* wanted = std::get_if<Kind>(&effect)) kind.push_back(*wanted);
    }
    return kind;
  }

  Cluster cluster;
  Effects effects;
  Instant now{1'000};
  bool prepares_by_itself = true;
  bool checks_invariants = true;  // off for a while where a large cluster makes it slow

 private:
  static Cluster without_leases(Cluster state) {
    state.now = Instant{};
    for (auto& [name, node] : state.nodes) node.lease_until = Instant{};
    return state;
  }

  void check() {
    if (!checks_invariants) return;
    for (const std::string& broken : check_invariants(cluster)) ADD_FAILURE() << broken;
    for (const auto& [id, graph] : cluster.graphs) {
      for (const auto& [name, job] : graph.jobs) {
        const auto before = terminal_.find({id, name});
        if (before != terminal_.end()) {
          EXPECT_EQ(name_of(before->second), name_of(job.state)) << name << " changed after its end";
        }
        if (is_terminal(job.state)) terminal_[{id, name}] = job.state;
      }
    }
  }

  void prepare_asked(std::size_t from) {
    for (std::size_t i = from; i < effects.size(); ++i) {
      if (const auto* asked = std::get_if<PrepareJob>(&effects[i])) {
        const JobKey key = asked->job;
        Launch launch{{"true"}, "{}", "/store/" + key.job.value, {}, stages_[key.job]};
        const auto cached = cluster.stages.find(launch.stage_key);
        const bool is_cached = !launch.stage_key.empty() && cached != cluster.stages.end();
        happen(JobPrepared{key, launch, is_cached, is_cached ? cached->second : Artifacts{}});
      }
    }
  }

  std::vector<Event> journal_;
  std::map<std::pair<GraphId, JobName>, JobState> terminal_;
  std::map<JobName, std::string> stages_;
  std::set<NodeId> silent_;
  int tokens_ = 0;
};

}  // namespace paddock::scheduler
