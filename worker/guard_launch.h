// worker/guard_launch.h – what a guard is told to start, as a value and as the bytes that go to it. Both ends are
// the same program, so the bytes have no versions. Threads: values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "worker/tenant_users.h"

namespace paddock::worker {

struct GuardLaunch {
  std::string log;                   // stdout and stderr are appended here
  std::string directory;             // where the rank starts
  std::vector<std::string> cgroups;  // folders to enter; none: rlimits only
  std::uint64_t data_bytes_max = 0;  // RLIMIT_DATA where there is no memory cgroup; 0: none
  std::vector<std::string> command;
  std::vector<std::string> environment;  // "NAME=value", all of it
  std::optional<RankUser> user = {};     // whom the rank becomes; nothing: it stays who the guard is
  // The guard itself enters `cgroups` and stays there: what it starts is born in them, and nothing has to move, which
  // would stop all starting and ending of processes on the machine for a moment.
  bool is_guard_in_cgroups = false;
  bool operator==(const GuardLaunch&) const = default;
};

std::string to_bytes(const GuardLaunch& launch);
// Empty: not what to_bytes() makes, or without a command.
std::optional<GuardLaunch> to_launch(std::string_view bytes);

}  // namespace paddock::worker
