// worker/launch.h – from a StartOrder to what one rank is started with: argument list, environment, files.
// The contract with the rank is docs/rank-protocol.md. Threads: any; functions of their arguments but for the
// files made.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "worker/agent.h"
#include "worker/processes.h"

namespace paddock::worker {

// <state>/attempts/<fence>: the resolved options and the logs of one attempt's ranks on this node.
std::filesystem::path attempt_folder(const std::filesystem::path& state, Fence fence);

// Makes the attempt's folder with the spec file, and the job's folder if it is missing, then says how to
// start order.ranks[index]; cgroups stay empty. `inherited`: the daemon's own environment, "NAME=value".
// kInvalid: nothing to run, or the job's folder is not absolute. kUnavailable: a folder or file cannot be
// made.
Result<RankLaunch> prepare_launch(const StartOrder& order, std::size_t index,
                                  const std::filesystem::path& state, const std::filesystem::path& runner,
                                  const std::vector<std::string>& inherited);

// Removes the folders of the oldest attempts but the newest `kept`; those in `live` stay anyway.
void remove_old_attempts(const std::filesystem::path& state, std::size_t kept,
                         const std::vector<Fence>& live);

}  // namespace paddock::worker
