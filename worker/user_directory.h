// worker/user_directory.h – users of this machine, as they were known last. Who they are may be kept by a server (LDAP) that
// takes its time or does not answer at all, so a thread of its own asks, again and again, and whoever wants to know never
// waits. Threads: find() from any.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/guarded.h"
#include "base/result.h"
#include "base/time.h"
#include "worker/tenant_users.h"

namespace paddock::worker {

class UserDirectory {
 public:
  // find_user(), or what a test puts there. kUnavailable: it cannot be known now.
  using Ask = std::function<Result<RankUser>(const std::string& name)>;

  // Of the users that are `known`. Each is asked for anew `every` so often: an operator may change a user's groups.
  UserDirectory(std::map<std::string, RankUser> known, Ask ask, Millis every = std::chrono::seconds(30));
  ~UserDirectory() = default;  // the thread ends with its next answer, if one comes
  UserDirectory(const UserDirectory&) = delete;
  UserDirectory& operator=(const UserDirectory&) = delete;

  // By the newest answer; while none comes, by the one before. kInvalid: the user has vanished from the machine.
  Result<RankUser> find(const std::string& name) const;

 private:
  using Known = std::map<std::string, Result<RankUser>>;
  const std::shared_ptr<Guarded<Known>> known_;
};

}  // namespace paddock::worker
