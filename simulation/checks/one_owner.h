// simulation/checks/one_owner.h – no GPU has two owners and no job runs twice at once: by the ranks that really run, not
// by what the coordinator believes. Threads: one owner.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "simulation/trace.h"

namespace paddock::simulation {

class OneOwner {
 public:
  explicit OneOwner(Trace& trace) : trace_(trace) {}

  void started(const std::string& node, const JobKey& job, Fence fence,
               const std::vector<std::string>& gpus) {
    for (const std::string& gpu : gpus) {
      const auto [owner, is_free] = gpus_.try_emplace({node, gpu}, fence);
      if (!is_free)
        trace_.violated("one owner: " + gpu + " of " + node + " is held by attempts " +
                        std::to_string(owner->second.value) + " and " + std::to_string(fence.value));
    }
    auto& running = jobs_[job];
    ++running[fence];
    if (running.size() > 1)
      trace_.violated("one owner: job " + job.job.value + " of graph " + std::to_string(job.graph.value) +
                      " runs twice, the newer as attempt " + std::to_string(running.rbegin()->first.value));
  }
  void ended(const std::string& node, const JobKey& job, Fence fence, const std::vector<std::string>& gpus) {
    for (const std::string& gpu : gpus) {
      const auto owner = gpus_.find({node, gpu});
      if (owner != gpus_.end() && owner->second == fence) gpus_.erase(owner);
    }
    auto& running = jobs_[job];
    if (--running[fence] == 0) running.erase(fence);
  }
  bool is_anything_running() const {
    for (const auto& [job, running] : jobs_)
      if (!running.empty()) return true;
    return false;
  }

 private:
  Trace& trace_;
  std::map<std::pair<std::string, std::string>, Fence> gpus_;
  std::map<JobKey, std::map<Fence, int>> jobs_;
};

}  // namespace paddock::simulation
