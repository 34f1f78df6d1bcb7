#include "worker/tenant_users.h"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "base/ids.h"
#include "worker/user_directory.h"

namespace paddock::worker {
namespace {

constexpr const char* kAllOthers = "*";
constexpr int kSayUnknown[] = {0, ENOENT, ESRCH, EBADF, EPERM};  // of getpwnam_r, besides no entry
constexpr std::size_t kEntryBytes = 64u << 10;

}  // namespace

Result<RankUser> find_user(const std::string& name) {
  std::vector<char> buffer(kEntryBytes);
  passwd entry{};
  passwd* found = nullptr;
  const int error = getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
  const bool is_unknown = std::ranges::find(kSayUnknown, error) != std::end(kSayUnknown);
  if (found == nullptr && !is_unknown)
    return fail(Code::kUnavailable, "this machine cannot say who user '" + name + "' is: " +
                                        std::generic_category().message(error) + "; see nsswitch.conf");
  if (found == nullptr) return fail(Code::kInvalid, "this machine knows no user '" + name + "'");
  RankUser user{name, found->pw_uid, found->pw_gid, std::vector<gid_t>(64), found->pw_dir};
  int count = static_cast<int>(user.groups.size());
  if (getgrouplist(name.c_str(), user.gid, user.groups.data(), &count) < 0) {
    user.groups.resize(static_cast<std::size_t>(count));
    getgrouplist(name.c_str(), user.gid, user.groups.data(), &count);
  }
  user.groups.resize(static_cast<std::size_t>(count));
  return user;
}

Result<TenantUsers> TenantUsers::parse(const std::vector<std::string>& words) {
  TenantUsers users;
  std::map<std::string, RankUser> known;
  for (const std::string& word : words) {
    const std::size_t equals = word.find('=');
    const std::string tenant = word.substr(0, equals);
    if (equals == std::string::npos || (!is_name(tenant) && tenant != kAllOthers))
      return fail(Code::kInvalid,
                  "--tenant-user '" + word + "': it is TENANT=USER, or *=USER for all other tenants");
    TRY_ASSIGN(const RankUser user, find_user(word.substr(equals + 1)), "--tenant-user '" + word + "'");
    if (user.uid == 0)
      return fail(Code::kInvalid, "--tenant-user '" + word + "': no tenant's jobs run as root");
    if (!users.users_.emplace(tenant, user.name).second)
      return fail(Code::kInvalid, "--tenant-user: tenant '" + tenant + "' is named twice");
    known[user.name] = user;
  }
  if (!users.empty() && geteuid() != 0)
    return fail(
        Code::kDenied,
        "--tenant-user needs a worker that runs as root: nobody else can start other users' processes");
  if (!users.empty()) users.directory_ = std::make_shared<UserDirectory>(std::move(known), find_user);
  return users;
}

Result<std::optional<RankUser>> TenantUsers::user_of(const std::string& tenant) const {
  if (users_.empty()) return std::optional<RankUser>();
  auto found = users_.find(tenant);
  if (found == users_.end()) found = users_.find(kAllOthers);
  if (found == users_.end()) {
    return fail(Code::kDenied, "tenant '" + tenant +
                                   "' has no user on this node: start its worker with --tenant-user " +
                                   tenant + "=USER");
  }
  TRY_ASSIGN(RankUser user, directory_->find(found->second), "the user of tenant '" + tenant + "'");
  return std::optional(std::move(user));
}

}  // namespace paddock::worker
