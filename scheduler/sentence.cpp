#include "scheduler/sentence.h"

#include <array>
#include <utility>

namespace paddock::scheduler {
std::string join(const std::vector<std::string>& parts, std::string_view between) {
  std::string text;
  for (std::size_t i = 0; i < parts.size() && i < kNamedMax; ++i)
    text += (i > 0 ? std::string(between) : "") + parts[i];
  if (parts.size() > kNamedMax) text += " and " + std::to_string(parts.size() - kNamedMax) + " more";
  return text;
}

std::string count(std::uint64_t number, const std::string& one) {
  return std::to_string(number) + " " + one + (number == 1 ? "" : "s");
}

std::string show_duration(Millis duration) {
  constexpr std::array<std::pair<std::int64_t, const char*>, 5> kUnits{
      {{86'400'000, " d"}, {3'600'000, " h"}, {60'000, " min"}, {1'000, " s"}, {1, " ms"}}};
  for (const auto& [ms, name] : kUnits) {
    if (duration.count() != 0 && duration.count() % ms == 0)
      return std::to_string(duration.count() / ms) + name;
  }
  return "0 s";
}

std::string mebibytes(std::uint64_t bytes) {
  return std::to_string(bytes >> 20) + " MiB";
}

std::string shown(const JobKey& key) {
  return std::to_string(key.graph.value) + "/" + key.job.value;
}

}  // namespace paddock::scheduler
