// jobs/rank_environment.h – who this process is in its attempt, by the variables of docs/rank-protocol.md. A program started
// by hand, without them, is rank 0 of 1. Read once, in main.
#pragma once

#include <cstdint>
#include <string>

namespace paddock::jobs {

struct RankEnvironment {
  std::int64_t rank = 0;
  std::int64_t world = 1;
  std::int64_t local_rank = 0;
  std::string master_address = "127.0.0.1";
  std::uint16_t master_port = 0;  // needed when world > 1
  std::uint64_t fence = 0;        // 0: by hand

  // Throws std::invalid_argument naming the variable that is wrong.
  static RankEnvironment read();
};

}  // namespace paddock::jobs
