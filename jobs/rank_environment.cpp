#include "jobs/rank_environment.h"

#include <charconv>
#include <cstdlib>
#include <stdexcept>
#include <string_view>

namespace paddock::jobs {
namespace {

template <typename Number>
void read_number(const char* variable, Number& value) {
  const char* given = std::getenv(variable);
  if (given == nullptr) return;
  const std::string_view text(given);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    throw std::invalid_argument(std::string(variable) + " is '" + given + "', must be a whole number");
}

}  // namespace

RankEnvironment RankEnvironment::read() {
  RankEnvironment environment;
  read_number("RANK", environment.rank);
  read_number("WORLD_SIZE", environment.world);
  read_number("LOCAL_RANK", environment.local_rank);
  read_number("MASTER_PORT", environment.master_port);
  read_number("PADDOCK_FENCE", environment.fence);
  if (const char* address = std::getenv("MASTER_ADDR")) environment.master_address = address;
  if (environment.world < 1 || environment.rank < 0 || environment.rank >= environment.world)
    throw std::invalid_argument("RANK must be below WORLD_SIZE, and WORLD_SIZE at least 1");
  if (environment.world > 1 && environment.master_port == 0)
    throw std::invalid_argument("MASTER_PORT is missing: the ranks of an attempt meet there");
  return environment;
}

}  // namespace paddock::jobs
