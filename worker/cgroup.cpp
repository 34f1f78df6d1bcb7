#include "worker/cgroup.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>
#include <utility>

#include "base/limits.h"

namespace paddock::worker {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRoot = "/sys/fs/cgroup";
constexpr const char* kProcessesPerRankMax = "16384";  // threads count too

bool write_text(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text << std::flush;
  return file.good();
}

std::string read_text(const std::string& path) {
  std::string text;
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return text;
  char buffer[4096];
  for (ssize_t length = 0; (length = read(file, buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<std::size_t>(length));
  ::close(file);
  return text;
}

// The number after `key` in "key number" lines; 0 if it is not there.
std::uint64_t value_of(const std::string& text, const std::string& key) {
  std::istringstream lines(text);
  std::string name;
  std::uint64_t value = 0;
  while (lines >> name >> value) {
    if (name == key) return value;
  }
  return 0;
}

bool make_folder(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  return !error && access((path + "/cgroup.procs").c_str(), W_OK) == 0;
}

// A worker and its guards that were all killed at once leave their groups, and perhaps somebody in them.
void clear(const std::string& parent) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(parent, error)) {
    if (!entry.is_directory(error)) continue;
    std::istringstream pids(read_text((entry.path() / "cgroup.procs").string()));
    for (pid_t pid = 0; pids >> pid;) {
      if (pid > 1 && pid != getpid()) kill(pid, SIGKILL);
    }
    // Refused while they die; a name comes again only with its own group, so an empty one hurts nothing.
    rmdir(entry.path().c_str());
  }
}

// The path after "0::" in /proc/self/cgroup.
std::string own_v2_path() {
  std::istringstream lines(read_text("/proc/self/cgroup"));
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("0::/")) return line == "0::/" ? "" : line.substr(3);
  }
  return "";
}

}  // namespace

// FNV-1a of the state folder, which no two workers share.
std::string cgroup_name(const std::string& node, const fs::path& state) {
  std::uint32_t hash = 2'166'136'261u;
  for (const char letter : state.string()) hash = (hash ^ static_cast<unsigned char>(letter)) * 16'777'619u;
  return node + "-" + std::to_string(hash);
}

Cgroups Cgroups::open(const std::string& name, std::uint64_t memory_bytes) {
  Cgroups groups;
  const bool is_v2 = access((std::string(kRoot) + "/cgroup.controllers").c_str(), R_OK) == 0;
  if (is_v2 ? groups.open_v2(name) : groups.open_v1(name, memory_bytes)) return groups;
  groups = Cgroups();
  groups.description_ =
      is_v2 ? "no cgroup: the worker's own is not delegated to it (systemd: Delegate=yes), rlimits only"
            : "no cgroup: neither version is writable, rlimits only";
  return groups;
}

bool Cgroups::open_v2(const std::string& name) {
  // Controllers can be given only to the children of a group without processes, so the daemon moves into a
  // leaf.
  const std::string own = kRoot + own_v2_path();
  const std::string leaf = own + "/daemon-" + name;
  const std::string ranks = own + "/ranks-" + name;
  const std::string self = std::to_string(getpid());
  if (!make_folder(leaf)) return false;
  const bool is_ours = write_text(leaf + "/cgroup.procs", self) &&
                       write_text(own + "/cgroup.subtree_control", "+memory +pids") && make_folder(ranks) &&
                       write_text(ranks + "/cgroup.subtree_control", "+memory +pids");
  if (!is_ours) {
    write_text(own + "/cgroup.procs", self);
    rmdir(leaf.c_str());
    return false;
  }
  clear(ranks);
  version_ = 2;
  memory_parent_ = pids_parent_ = ranks;
  description_ = "cgroup v2: memory, pids";
  return true;
}

bool Cgroups::open_v1(const std::string& name, std::uint64_t memory_bytes) {
  const std::string memory = std::string(kRoot) + "/memory/paddock/" + name;
  const std::string pids = std::string(kRoot) + "/pids/paddock/" + name;
  if (access((std::string(kRoot) + "/memory/memory.limit_in_bytes").c_str(), R_OK) == 0 &&
      make_folder(memory)) {
    clear(memory);
    memory_parent_ = memory;
    if (memory_bytes > 0) write_text(memory + "/memory.limit_in_bytes", std::to_string(memory_bytes));
  }
  if (access((std::string(kRoot) + "/pids/cgroup.procs").c_str(), R_OK) == 0 && make_folder(pids)) {
    clear(pids);
    pids_parent_ = pids;
  }
  if (memory_parent_.empty() && pids_parent_.empty()) return false;
  version_ = 1;
  description_ = std::string("cgroup v1:") + (memory_parent_.empty() ? " no memory," : " memory,") +
                 (pids_parent_.empty() ? " no pids" : " pids");
  return true;
}

Result<RankCgroup> Cgroups::make(const RankKey& key, std::uint64_t memory_bytes) {
  if (memory_bytes == 0 && !idle_.empty()) {
    RankCgroup group = std::move(idle_.back());
    idle_.pop_back();
    group.oom_kills_before = oom_kills_of(group);
    return group;
  }
  RankCgroup group;
  group.has_limit = memory_bytes > 0;
  const std::string name = "/" + std::to_string(key.fence.value) + "." + std::to_string(key.rank.value);
  const auto refused = [](const std::string& path) {
    return fail(Code::kUnavailable,
                "setting up the cgroup " + path + ": " + std::generic_category().message(errno));
  };
  if (!memory_parent_.empty()) {
    group.memory_folder = memory_parent_ + name;
    if (!make_folder(group.memory_folder)) return refused(group.memory_folder);
    group.folders.push_back(group.memory_folder);
    const std::string limit = std::to_string(memory_bytes);
    if (memory_bytes > 0) {
      const std::string file = version_ == 2 ? "/memory.max" : "/memory.limit_in_bytes";
      if (!write_text(group.memory_folder + file, limit)) return refused(group.memory_folder + file);
      // Not all kernels count swap; where they do, swapping must not stretch the limit.
      write_text(group.memory_folder + (version_ == 2 ? "/memory.swap.max" : "/memory.memsw.limit_in_bytes"),
                 version_ == 2 ? "0" : limit);
    }
    if (version_ == 2) write_text(group.memory_folder + "/memory.oom.group", "1");
  }
  if (!pids_parent_.empty()) {
    const std::string folder = pids_parent_ + name;
    if (!make_folder(folder)) return refused(folder);
    if (folder != group.memory_folder) group.folders.push_back(folder);
    write_text(folder + "/pids.max", kProcessesPerRankMax);
  }
  return group;
}

std::uint64_t Cgroups::oom_kills_of(const RankCgroup& group) const {
  if (group.memory_folder.empty()) return 0;
  const char* const file = version_ == 2 ? "/memory.events" : "/memory.oom_control";
  return value_of(read_text(group.memory_folder + file), "oom_kill");
}

bool Cgroups::was_out_of_memory(const RankCgroup& group) const {
  return oom_kills_of(group) > group.oom_kills_before;
}

void Cgroups::close() {
  idle_.clear();
  for (const std::string& parent : {memory_parent_, pids_parent_}) {
    if (parent.empty()) continue;
    clear(parent);
    rmdir(parent.c_str());
    if (version_ == 1) rmdir(fs::path(parent).parent_path().c_str());  // stays while another worker is in it
  }
  memory_parent_.clear();
  pids_parent_.clear();
}

void Cgroups::remove(const RankCgroup& group) {
  if (!group.has_limit && !group.folders.empty() && idle_.size() < limits::kIdleGuardsMax) {
    idle_.push_back(group);
    return;
  }
  for (const std::string& folder : group.folders) rmdir(folder.c_str());
}

}  // namespace paddock::worker
