// coordinator/access.h – who may speak to this coordinator: its own key, and the allow-list, read again whenever it
// changes, so that a key that is revoked is cut off at once, with whatever connection it has.
// Threads: the coordinator's own. Errors: Result; a list that cannot be read any more leaves the last good one in force.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>

#include "base/log.h"
#include "coordinator/options.h"
#include "coordinator/permissions.h"
#include "wire/authentication.h"

namespace paddock::coordinator {

class Access final : public Admission {
 public:
  // kInvalid: neither keys nor --plain, or both. Otherwise as wire::read_secret_key and wire::AllowList::read.
  static Result<Access> open(const CoordinatorOptions& options, const Log& log);
  Access(Access&& other) noexcept;
  Access& operator=(Access&&) = delete;
  ~Access() override;

  // For the server's socket; nothing when it is to be plain. What it holds refers to this object, which must stay
  // where it is from then on.
  std::optional<wire::ServerSecurity> security() const;
  // What clients must know of us; "" when plain.
  std::string public_key() const { return keys_ ? keys_->public_key : std::string(); }
  std::optional<Requester> who(const std::string& key) const override;

  // Something can be read when the list has changed; -1 when there is none.
  int descriptor() const { return watch_; }
  // Reads the list again if it has changed, or in any case. True: it is another one now.
  bool refresh(bool in_any_case = false);

 private:
  explicit Access(const Log& log) : log_(&log) {}
  bool has_changed() const;

  bool admits(const std::string& key) const;

  const Log* log_;
  std::optional<wire::KeyPair> keys_;  // none: plain
  std::filesystem::path list_file_;
  wire::AllowList list_;
  // Strangers may knock as often as they like: one line a second is enough to find them.
  mutable std::chrono::steady_clock::time_point log_again_at_;
  int watch_ = -1;  // inotify on the list's folder: an editor or a command puts a new file in its place
};

}  // namespace paddock::coordinator
