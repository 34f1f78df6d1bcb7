#include "simulation/workload/trial.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <utility>

#include "simulation/workload/figures.h"
#include "simulation/workload/lublin.h"
#include "simulation/workload/policies.h"
#include "simulation/workload/swf.h"

namespace paddock::simulation {
namespace {

// More would not be held in memory, or overflow what is counted.
constexpr std::int64_t kNodesMax = 1'000'000;
constexpr std::int64_t kCoresMax = 4'096;
constexpr std::uint64_t kJobsMax = 10'000'000;

struct Policy {
  std::string name;
  Schedule (*schedule)(const Workload&, const Machines&);
};

Result<std::vector<Policy>> policies_of(const std::string& wanted) {
  const std::vector<Policy> all{
      {"fifo", schedule_fifo}, {"easy", schedule_easy}, {"paddock", schedule_paddock}};
  if (wanted == "all") return all;
  for (const Policy& policy : all) {
    if (policy.name == wanted) return std::vector{policy};
  }
  return fail(Code::kInvalid, "there is no policy " + wanted + ": fifo, easy, paddock or all");
}

Result<Machines> machines_of(const TrialOptions& options, const Workload& workload) {
  Machines machines;
  machines.cores = options.cores > 0 ? options.cores
                   : workload.max_nodes > 0 && workload.max_processors > workload.max_nodes
                       ? workload.max_processors / workload.max_nodes
                       : 1;
  machines.nodes = options.nodes > 0        ? options.nodes
                   : workload.max_nodes > 0 ? workload.max_nodes
                                            : workload.max_processors / machines.cores;
  if (machines.nodes == 0)
    return fail(Code::kInvalid,
                "the trace does not say how large its machine was: give --nodes, and --cores");
  if (machines.nodes > kNodesMax || machines.cores > kCoresMax)
    return fail(Code::kInvalid, "at most 1000000 nodes with 4096 cores each can be simulated");
  return machines;
}

Result<Workload> workload_of(const TrialOptions& options) {
  if (!options.trace.empty()) return read_swf_file(options.trace);
  if (options.nodes <= 0) return fail(Code::kInvalid, "--synthetic needs --nodes, and --cores if not 1");
  if (options.nodes > kNodesMax || options.cores > kCoresMax || options.synthetic > kJobsMax ||
      options.load <= 0)
    return fail(Code::kInvalid,
                "at most 1000000 nodes, 4096 cores and 10000000 jobs can be drawn, and the load is above 0");
  return draw_lublin(options.synthetic, options.seed,
                     {options.nodes, std::max<std::int64_t>(1, options.cores)}, options.load);
}

std::string counted(std::uint64_t count, const std::string& what) {
  return std::to_string(count) + " " + what;
}

std::vector<std::string> notes_of(const Workload& workload, const Machines& machines,
                                  std::uint64_t too_large) {
  const Skipped& skipped = workload.skipped;
  std::vector<std::string> notes{counted(workload.jobs.size(), "jobs on ") + std::to_string(machines.nodes) +
                                 " nodes of " + std::to_string(machines.cores) + " cores"};
  const auto note = [&](std::uint64_t count, const std::string& what) {
    if (count > 0) notes.push_back(counted(count, what));
  };
  note(workload.failed, "of them failed; they are replayed like the others");
  note(workload.longer_than_asked, "of them ran longer than asked for; what they ran is taken as asked for");
  note(skipped.cancelled, "were cancelled before they started and are left out");
  note(skipped.partial, "lines are pieces of jobs that have a line of their own and are left out");
  note(skipped.without_run, "have no run time and are left out");
  note(skipped.without_size, "have no number of processors and are left out");
  note(too_large,
       "need more than the whole cluster, or than the 4096 nodes that a job may have, and are left out");
  return notes;
}

nlohmann::json about(const Workload& workload, const Machines& machines, std::uint64_t too_large) {
  return {{"nodes", machines.nodes},
          {"cores_per_node", machines.cores},
          {"jobs", workload.jobs.size()},
          {"failed", workload.failed},
          {"longer_than_asked", workload.longer_than_asked},
          {"left_out",
           {{"cancelled", workload.skipped.cancelled},
            {"partial", workload.skipped.partial},
            {"without_run_time", workload.skipped.without_run},
            {"without_size", workload.skipped.without_size},
            {"too_large", too_large}}}};
}

}  // namespace

Result<Trial> try_workload(const TrialOptions& options) {
  TRY_ASSIGN(const auto policies, policies_of(options.policy), "choosing the policy");
  TRY_ASSIGN(Workload workload, workload_of(options), "reading the workload");
  TRY_ASSIGN(const Machines machines, machines_of(options, workload), "choosing the cluster");
  const auto too_large =
      std::erase_if(workload.jobs, [&](const TraceJob& job) { return !fits(job, machines); });
  workload.failed = static_cast<std::uint64_t>(std::ranges::count_if(workload.jobs, &TraceJob::has_failed));
  workload.longer_than_asked =
      static_cast<std::uint64_t>(std::ranges::count_if(workload.jobs, &TraceJob::ran_over));
  if (workload.jobs.empty())
    return fail(Code::kInvalid, "no job fits on the cluster: give more --nodes or --cores");
  if (!options.write.empty()) {
    const std::string note = options.trace.empty() ? "drawn by the model of Lublin and Feitelson, seed " +
                                                         std::to_string(options.seed)
                                                   : "from " + options.trace.filename().string();
    TRY(write_swf_file(options.write, workload, machines, note), "writing the workload");
  }
  Trial trial{about(workload, machines, too_large), notes_of(workload, machines, too_large), {"policy"}, {}};
  for (const std::string& column : figure_columns()) trial.columns.push_back(column);
  trial.columns.emplace_back("decided in");
  for (const Policy& policy : policies) {
    const auto begin = std::chrono::steady_clock::now();
    const Schedule schedule = policy.schedule(workload, machines);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    const Figures figures = figures_of(workload, machines, schedule);
    trial.json["policies"][policy.name] = to_json(figures);
    trial.json["policies"][policy.name]["decided_in_s"] = took.count();
    std::vector<std::string> row{policy.name};
    for (const std::string& cell : to_cells(figures)) row.push_back(cell);
    char seconds[32];
    std::snprintf(seconds, sizeof seconds, "%.1f s", took.count());
    row.emplace_back(seconds);
    trial.rows.push_back(std::move(row));
  }
  return trial;
}

}  // namespace paddock::simulation
