// worker/tenant_users.h – as which user of this machine the jobs of each tenant run: `--tenant-user TENANT=USER`, where
// TENANT may be * for all others. Only root can become others. Threads: any.
#pragma once

#include <sys/types.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace paddock::worker {

struct RankUser {
  std::string name;
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;  // all that it is in
  std::string home;
  bool operator==(const RankUser&) const = default;
};

class UserDirectory;

class TenantUsers {
 public:
  // kInvalid: not TENANT=USER, a tenant twice, a user that this machine does not know, or root.
  // kDenied: users are named, but this process is not root.
  static Result<TenantUsers> parse(const std::vector<std::string>& words);

  bool empty() const { return users_.empty(); }
  // As whom a rank of this tenant runs; never waits (user_directory.h). Nothing: as the worker itself, since no user is named
  // at all.
  // kDenied: users are named, and this tenant has none. kInvalid: its user has vanished from the machine.
  Result<std::optional<RankUser>> user_of(const std::string& tenant) const;

 private:
  std::map<std::string, std::string> users_;  // by tenant
  std::shared_ptr<UserDirectory> directory_;  // nothing: no user is named
};

// Asks the machine, which may take as long as it likes. kInvalid: it knows no such user. kUnavailable: it cannot say.
Result<RankUser> find_user(const std::string& name);

}  // namespace paddock::worker
