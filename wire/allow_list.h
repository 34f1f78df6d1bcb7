// wire/allow_list.h – whose keys a coordinator answers to, and as what: a text file, one key a line, kept by
// `paddock keys allow | revoke` or an editor. Format page: docs/security.md.
//   ROLE NAME KEY [tenant=TENANT] [node=NODE]        # blank lines and lines that begin with "# " are skipped
// Threads: values. Errors: kInvalid with file:line and what is allowed; kNotFound, kConflict, kUnavailable.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace paddock::wire {

enum class Role {
  kOperator,   // everything but a worker's messages
  kSubmitter,  // its tenant's graphs
  kWorker,     // a node's daemon
  kViewer,     // looks, changes nothing
};
std::string_view name_of(Role role);
std::optional<Role> role_of(std::string_view name);
inline constexpr std::string_view kRoleNames = "operator, submitter, worker or viewer";

// What one key may be used for.
struct Grant {
  Role role = Role::kViewer;
  std::string name;    // whom operators see; unique in the list
  std::string key;     // unique in the list
  std::string tenant;  // a submitter has one; a viewer may: then it sees that tenant's graphs only
  std::string node;    // of a worker: the only node it may speak for; empty: any
};

class AllowList {
 public:
  // `file` is for messages.
  static Result<AllowList> parse(std::string_view text, const std::string& file);
  // kNotFound: there is no such file.
  static Result<AllowList> read(const std::filesystem::path& file);
  // kInvalid: role, tenant and node do not go together, or a name is none. kConflict: the key or the name is in the list.
  Result<void> add(Grant grant);

  const Grant* find(std::string_view key) const;
  const Grant* find_named(std::string_view name_or_key) const;
  const std::vector<Grant>& grants() const { return grants_; }

 private:
  using Index = std::map<std::string, std::size_t, std::less<>>;  // where in grants_

  std::vector<Grant> grants_;  // in the order of the file
  Index by_key_;
  Index by_name_;
};

// Change the file, as a whole and durably: a reader sees the old list or the new one. Comments stay. Two that change it
// at once wait for each other. A file that is missing is begun by allow_in().
Result<void> allow_in(const std::filesystem::path& file, const Grant& grant);  // as AllowList::add
// By name or key. kNotFound: neither is in the list.
Result<Grant> revoke_in(const std::filesystem::path& file, std::string_view name_or_key);

}  // namespace paddock::wire
