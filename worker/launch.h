// worker/launch.h – from a StartOrder to what one rank is started with: argument list, environment, files.
// The contract with the rank is docs/rank-protocol.md. Threads: any; functions of their arguments but for the
// files made.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "worker/agent.h"
#include "worker/attempt_folders.h"
#include "worker/guard_launch.h"

namespace paddock::worker {

// Makes the attempt's folder with the spec file, and the job's folder if it is missing, then says how to
// start order.ranks[index]; cgroups stay empty. `inherited`: the daemon's own environment, "NAME=value". `user`: whom the
// rank becomes; a job's folder that is made here is then that user's.
// kInvalid: nothing to run, or the job's folder is not absolute. kUnavailable: a folder or file cannot be
// made.
Result<GuardLaunch> prepare_launch(const StartOrder& order, std::size_t index, AttemptFolders& folders,
                                   const std::filesystem::path& runner,
                                   const std::vector<std::string>& inherited,
                                   const std::optional<RankUser>& user = std::nullopt);

}  // namespace paddock::worker
