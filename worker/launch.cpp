#include "worker/launch.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <system_error>
#include <utility>

#include "worker/attempt_folders.h"

namespace paddock::worker {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> command_of(const StartOrder& order, const fs::path& runner, const fs::path& spec) {
  if (order.kind == "command") return order.command;
  return {runner.string(), order.kind, "--spec", spec.string(), "--dir", order.directory};
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ",") + word;
  return text;
}

// What the daemon has, over it what the job asked for, over both what docs/rank-protocol.md promises.
std::vector<std::string> environment_of(const StartOrder& order, const StartOrder::Rank& rank,
                                        const fs::path& spec, const std::vector<std::string>& inherited) {
  std::map<std::string, std::string> variables;
  for (const std::string& entry : inherited) {
    const std::size_t equals = entry.find('=');
    if (equals != std::string::npos) variables[entry.substr(0, equals)] = entry.substr(equals + 1);
  }
  variables.erase("NOTIFY_SOCKET");  // is between systemd and the daemon
  for (const auto& [name, value] : order.environment) variables[name] = value;
  variables["RANK"] = std::to_string(rank.rank.value);
  variables["WORLD_SIZE"] = std::to_string(order.world_size);
  variables["LOCAL_RANK"] = std::to_string(rank.local_rank);
  variables["LOCAL_WORLD_SIZE"] = std::to_string(order.ranks.size());
  variables["MASTER_ADDR"] = order.master_address;
  variables["MASTER_PORT"] = std::to_string(order.master_port);
  variables["CUDA_VISIBLE_DEVICES"] = joined(rank.gpus);
  variables["OMP_NUM_THREADS"] = std::to_string(std::max(rank.cpus, 1u));
  variables["PADDOCK_SPEC"] = spec.string();
  variables["PADDOCK_JOB_DIR"] = order.directory;
  variables["PADDOCK_ATTEMPT"] = std::to_string(order.attempt);
  variables["PADDOCK_FENCE"] = std::to_string(order.fence.value);
  std::vector<std::string> environment;
  for (const auto& [name, value] : variables) environment.push_back(name + "=" + value);
  return environment;
}

// A folder that is made here is `user`'s.
Result<void> make_folder(const fs::path& folder, const std::optional<RankUser>& user) {
  bool is_new = mkdir(folder.c_str(), 0755) == 0;
  if (!is_new && errno == EEXIST) {
    struct stat status {};
    if (!user || stat(folder.c_str(), &status) != 0 || status.st_uid == user->uid) return {};
    return fail(Code::kDenied, "the folder " + folder.string() + " belongs to user number " +
                                   std::to_string(status.st_uid) + ", whose tenant began this work, not to " +
                                   user->name + ": give it to " + user->name +
                                   " (chown -R), remove it, or submit the job with cache: false");
  }
  std::error_code error;
  if (!is_new) is_new = fs::create_directories(folder, error);
  if (error) return fail(Code::kUnavailable, "making the folder " + folder.string() + ": " + error.message());
  if (user && is_new && chown(folder.c_str(), user->uid, user->gid) != 0) {
    return fail(Code::kUnavailable, "giving the folder " + folder.string() + " to " + user->name + ": " +
                                        std::generic_category().message(errno));
  }
  return {};
}

// What a login would set.
void add_user(const RankUser& user, std::vector<std::string>& environment) {
  const std::pair<std::string, std::string> variables[] = {
      {"HOME=", user.home}, {"USER=", user.name}, {"LOGNAME=", user.name}};
  for (const auto& [name, value] : variables) {
    std::erase_if(environment,
                  [&, begin = name](const std::string& entry) { return entry.starts_with(begin); });
    environment.push_back(name + value);
  }
}

// Without truncating first: a file that was truncated is written to the disk at once by some file systems.
Result<void> write_over(const fs::path& path, const std::string& text) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  const auto length = static_cast<ssize_t>(text.size());
  struct stat status {};
  const bool is_written = file >= 0 && pwrite(file, text.data(), text.size(), 0) == length &&
                          fstat(file, &status) == 0 &&
                          (status.st_size == length || ftruncate(file, length) == 0);
  const int error = errno;
  if (file >= 0) close(file);
  if (is_written) return {};
  return fail(Code::kUnavailable, "writing " + path.string() + ": " + std::generic_category().message(error));
}

// A new file that nobody but `user` and root ever could read, also while it is being written; another rank may read the one of
// before meanwhile.
Result<void> write_private(const fs::path& path, const std::string& text, const RankUser& user) {
  const std::string fresh = path.string() + ".new";
  unlink(fresh.c_str());
  const int file = open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400);
  const bool is_written = file >= 0 && fchown(file, user.uid, user.gid) == 0 &&
                          write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                          rename(fresh.c_str(), path.c_str()) == 0;
  const int error = errno;
  if (file >= 0) close(file);
  if (is_written) return {};
  return fail(Code::kUnavailable, "writing " + path.string() + " for " + user.name + ": " +
                                      std::generic_category().message(error));
}

}  // namespace

Result<GuardLaunch> prepare_launch(const StartOrder& order, std::size_t index, AttemptFolders& folders,
                                   const fs::path& runner, const std::vector<std::string>& inherited,
                                   const std::optional<RankUser>& user) {
  if (!fs::path(order.directory).is_absolute()) {
    return fail(Code::kInvalid, "the job's folder '" + order.directory + "' is not an absolute path");
  }
  const RankId rank = order.ranks[index].rank;
  TRY_ASSIGN(const fs::path folder, folders.open(order.fence, rank, user.has_value()),
             "preparing the attempt");
  const fs::path spec = folder / "spec.json";
  GuardLaunch launch;
  launch.command = command_of(order, runner, spec);
  if (launch.command.empty() || launch.command[0].empty()) {
    return fail(Code::kInvalid, "the job has no command to run");
  }
  TRY(make_folder(order.directory, user), "preparing the job's folder");
  if (user)
    TRY(write_private(spec, order.spec, *user), "preparing the attempt");
  else
    TRY(write_over(spec, order.spec), "preparing the attempt");
  launch.environment = environment_of(order, order.ranks[index], spec, inherited);
  launch.user = user;
  if (user) add_user(*user, launch.environment);
  launch.directory = order.directory;
  launch.log = folder / log_name(rank);
  return launch;
}

}  // namespace paddock::worker
