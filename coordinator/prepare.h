// coordinator/prepare.h – makes a submitted job ready to start: its references to other jobs' artifacts are
// filled in, its options resolved, and its stage key found.
//
// The stage key is the hash of canonical JSON of {kind, format version, options with every reference replaced
// by the artifact's hash} and, where it changes the result, the number of ranks: equal keys are equal work. A
// job that wants no cache, whose kind is not a function of its options, or that refers to an artifact without a hash, has none and
// is never shared. Files that options name by path alone are taken by that path, not by what they hold.
// Threads: pure functions, but for asking the store whether cached artifacts are still there.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>

#include "base/result.h"
#include "jobs/spec/graph_spec.h"
#include "scheduler/cluster.h"
#include "scheduler/event.h"

namespace paddock::coordinator {

// The artifacts of the jobs that it refers to, by job.
using Made = std::map<std::string, scheduler::Artifacts>;

struct Preparation {
  scheduler::Launch launch;
  bool is_cached = false;
  scheduler::Artifacts artifacts;  // when cached
};

// `own_directory` is where it works when its work cannot be shared; else STORE/stages/<kind>-<key>.
// kNotFound: it refers to an artifact that was not made. kInvalid: the options are wrong, all problems in one
// message.
Result<Preparation> prepare(const spec::JobSpec& job, const Made& made,
                            const std::map<std::string, scheduler::Artifacts>& stages,
                            const std::filesystem::path& store, const std::filesystem::path& own_directory);

// The same for a job of the cluster whose needs are met: the answer to the effect PrepareJob.
scheduler::What prepare_job(const scheduler::Cluster& cluster, const JobKey& key,
                            const std::filesystem::path& store);

}  // namespace paddock::coordinator
