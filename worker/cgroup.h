// worker/cgroup.h – bounds for a rank: a control group of its own where the machine lets us, else rlimits.
// Version 2 (needs a delegated group, systemd's Delegate=yes): below the daemon's own group. Version 1:
// memory and pids, below /sys/fs/cgroup/{memory,pids}/paddock. Kernel source: admin-guide/cgroup-v2.rst,
// cgroup-v1/memory.rst. Threads: one owner. Nothing here is fatal: what could not be had is said in
// description().
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "worker/report.h"

namespace paddock::worker {

struct RankCgroup {
  std::vector<std::string> folders;    // to enter; empty: none
  std::string memory_folder;           // the one of them that bounds memory; empty: none does
  bool has_limit = false;              // of its own
  std::uint64_t oom_kills_before = 0;  // of ranks that had this group earlier
};

// Tells workers of one machine from each other, and is the same for the same worker after a restart.
std::string cgroup_name(const std::string& node, const std::filesystem::path& state);

class Cgroups {
 public:
  // `name`: as cgroup_name() makes it; leftovers of an earlier one of that name are killed and
  // removed. `memory_bytes`: what all ranks together may use (version 1).
  static Cgroups open(const std::string& name, std::uint64_t memory_bytes);

  // For the log: "cgroup v1: memory, pids", or why there is none.
  const std::string& description() const { return description_; }
  bool bounds_memory() const { return !memory_parent_.empty(); }

  // A group for one rank; memory_bytes 0: no limit of its own. Without cgroups: an empty one.
  Result<RankCgroup> make(const RankKey& key, std::uint64_t memory_bytes);
  // Whether the kernel killed in there for want of memory.
  bool was_out_of_memory(const RankCgroup& group) const;
  // Its processes have ended. One without a limit of its own is kept for the next such rank: making and
  // removing a memory group costs the kernel more than a small job.
  void remove(const RankCgroup& group);
  // All ranks have ended: nothing of ours stays behind.
  void close();

 private:
  bool open_v2(const std::string& name);
  bool open_v1(const std::string& name, std::uint64_t memory_bytes);
  std::uint64_t oom_kills_of(const RankCgroup& group) const;

  std::vector<RankCgroup> idle_;  // empty groups without a limit, at most limits::kIdleGuardsMax
  int version_ = 0;
  std::string description_;
  std::string memory_parent_;
  std::string pids_parent_;  // the same folder as memory_parent_ in version 2
};

}  // namespace paddock::worker
