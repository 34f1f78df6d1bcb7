// scheduler/sentence.h – the pieces that reasons are made of: lists, counts, durations, sizes, as people say
// them. Internal to the scheduler. Threads: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/time.h"

namespace paddock::scheduler {

// What does not fit a sentence is counted.
inline constexpr std::size_t kNamedMax = 5;

// "a, b, c, d, e and 7 more"
std::string join(const std::vector<std::string>& parts, std::string_view between);

// "1 node", "2 nodes"
std::string count(std::uint64_t number, const std::string& one);

// In the largest unit that is exact: "90 s", "2 h", "7 d".
std::string show_duration(Millis duration);

// "512 MiB"
std::string mebibytes(std::uint64_t bytes);

// "3/pretrain"
std::string shown(const JobKey& job);

}  // namespace paddock::scheduler
