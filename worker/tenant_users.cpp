#include "worker/tenant_users.h"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <utility>

#include "base/ids.h"

namespace paddock::worker {
namespace {

constexpr const char* kAllOthers = "*";
constexpr std::size_t kEntryBytes = 16u << 10;

}  // namespace

// Asked anew for each rank, not once: an operator may change a user's groups meanwhile.
Result<RankUser> find_user(const std::string& name) {
  std::vector<char> buffer(kEntryBytes);
  passwd entry{};
  passwd* found = nullptr;
  if (getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr)
    return fail(Code::kInvalid, "this machine knows no user '" + name + "'");
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
  }
  if (!users.empty() && geteuid() != 0)
    return fail(
        Code::kDenied,
        "--tenant-user needs a worker that runs as root: nobody else can start other users' processes");
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
  TRY_ASSIGN(RankUser user, find_user(found->second), "the user of tenant '" + tenant + "'");
  return std::optional(std::move(user));
}

}  // namespace paddock::worker
