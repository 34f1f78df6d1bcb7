#include "worker/devices.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <optional>
#include <sstream>

namespace paddock::worker {
namespace {

template <typename Number>
std::optional<Number> first_number(const std::string& path) {
  std::ifstream file(path);
  Number number{};
  return file >> number ? std::optional(number) : std::nullopt;
}

// The folders of this process's group and of all above it, in version 2 (`controller` empty) or in one
// hierarchy of version 1. Where the path of /proc/self/cgroup is not below the mount (a container's view),
// the mount alone counts.
std::vector<std::string> own_cgroup_folders(const std::string& controller) {
  std::ifstream lines("/proc/self/cgroup");
  std::string path;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string number, controllers, rest;
    std::getline(fields, number, ':');
    std::getline(fields, controllers, ':');
    std::getline(fields, rest);
    const std::string among = "," + controllers + ",";
    if (controller.empty() ? controllers.empty() : among.find("," + controller + ",") != std::string::npos)
      path = rest;
  }
  const std::string mount = controller.empty() ? "/sys/fs/cgroup" : "/sys/fs/cgroup/" + controller;
  std::vector<std::string> folders{mount};
  for (; path.size() > 1; path.resize(path.rfind('/'))) folders.push_back(mount + path);
  return folders;
}

}  // namespace

std::uint32_t usable_cpus() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  std::int64_t cpus =
      sched_getaffinity(0, sizeof mask, &mask) == 0 ? CPU_COUNT(&mask) : sysconf(_SC_NPROCESSORS_ONLN);
  for (const std::string& folder : own_cgroup_folders("")) {
    std::ifstream file(folder + "/cpu.max");  // "max 100000" or "150000 100000"
    std::int64_t quota = 0;
    std::int64_t period = 0;
    if (file >> quota >> period && period > 0) cpus = std::min(cpus, quota / period);
  }
  for (const std::string& folder : own_cgroup_folders("cpu")) {
    const auto quota = first_number<std::int64_t>(folder + "/cpu.cfs_quota_us");  // -1: none
    const auto period = first_number<std::int64_t>(folder + "/cpu.cfs_period_us");
    if (quota && period && *quota > 0 && *period > 0) cpus = std::min(cpus, *quota / *period);
  }
  return static_cast<std::uint32_t>(std::max<std::int64_t>(cpus, 1));
}

std::uint64_t usable_memory_bytes() {
  std::uint64_t bytes =
      static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  for (const std::string& folder : own_cgroup_folders("")) {
    if (const auto limit = first_number<std::uint64_t>(folder + "/memory.max"))
      bytes = std::min(bytes, *limit);
  }
  for (const std::string& folder : own_cgroup_folders("memory")) {
    const auto limit = first_number<std::uint64_t>(folder + "/memory.limit_in_bytes");
    if (limit) bytes = std::min(bytes, *limit);
  }
  return bytes;
}

Result<std::vector<Gpu>> choose_gpus(const std::vector<Gpu>& found, const std::string& wanted) {
  if (wanted == "all") return found;
  std::vector<Gpu> chosen;
  if (wanted == "none") return chosen;
  std::istringstream words(wanted);
  for (std::string word; std::getline(words, word, ',');) {
    std::size_t index = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), index);
    if (error != std::errc() || end != word.data() + word.size() || index >= found.size()) {
      return fail(Code::kInvalid, "--gpus '" + wanted + "': '" + word + "' is none of the " +
                                      std::to_string(found.size()) +
                                      " GPUs here; say all, none or indexes like 0,2");
    }
    chosen.push_back(found[index]);
  }
  return chosen;
}

}  // namespace paddock::worker
