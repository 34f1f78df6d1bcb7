#include "wire/allow_list.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <sstream>
#include <system_error>
#include <utility>

#include "base/ids.h"
#include "wire/keys.h"

namespace paddock::wire {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::pair<Role, std::string_view>, 4> kRoles{{
    {Role::kOperator, "operator"},
    {Role::kSubmitter, "submitter"},
    {Role::kWorker, "worker"},
    {Role::kViewer, "viewer"},
}};
constexpr std::string_view kHead =
    "# Whose keys this coordinator answers to: ROLE NAME KEY [tenant=TENANT] [node=NODE]\n"
    "# Kept by `paddock keys allow` and `paddock keys revoke`; read again whenever it changes.\n";

Result<void> check(const Grant& grant) {
  if (!is_name(grant.name))
    return fail(Code::kInvalid, "'" + grant.name + "' is no name: letters, digits and ._- only");
  if (!is_key(grant.key))
    return fail(Code::kInvalid,
                "'" + grant.key + "' is no key: 40 letters, as `paddock keys show` prints them");
  if (grant.role == Role::kSubmitter && grant.tenant.empty())
    return fail(Code::kInvalid, "a submitter needs tenant=TENANT: who is charged for what it submits");
  if (!grant.tenant.empty() && grant.role != Role::kSubmitter && grant.role != Role::kViewer)
    return fail(Code::kInvalid, "only a submitter or a viewer has a tenant");
  if (!grant.node.empty() && grant.role != Role::kWorker)
    return fail(Code::kInvalid, "only a worker has a node");
  for (const std::string& name : {grant.tenant, grant.node}) {
    if (!name.empty() && !is_name(name))
      return fail(Code::kInvalid, "'" + name + "' is no name: letters, digits and ._- only");
  }
  return {};
}

Result<Grant> parse_line(std::string_view line) {
  std::istringstream in{std::string(line)};
  std::string role_name;
  Grant grant;
  in >> role_name >> grant.name >> grant.key;
  const auto role = role_of(role_name);
  if (!role)
    return fail(Code::kInvalid, "'" + role_name + "' is no role; allowed are " + std::string(kRoleNames));
  grant.role = *role;
  for (std::string word; in >> word;) {
    if (word.starts_with("tenant="))
      grant.tenant = word.substr(7);
    else if (word.starts_with("node="))
      grant.node = word.substr(5);
    else
      return fail(Code::kInvalid, "'" + word + "' is not known; allowed are tenant=TENANT and node=NODE");
  }
  return grant;
}

std::string to_line(const Grant& grant) {
  std::string line = std::string(name_of(grant.role)) + " " + grant.name + " " + grant.key;
  if (!grant.tenant.empty()) line += " tenant=" + grant.tenant;
  if (!grant.node.empty()) line += " node=" + grant.node;
  return line + "\n";
}

Error refused(const fs::path& file, int number) {
  return Error{Code::kUnavailable,
               "writing " + file.string() + ": " + std::generic_category().message(number)};
}

// A comment or nothing.
bool is_passed_over(const std::string& line) {
  return line == "#" || line.starts_with("# ") || line.find_first_not_of(" \t\r") == std::string::npos;
}

fs::path folder_of(const fs::path& file) {
  return file.has_parent_path() ? file.parent_path() : fs::path(".");
}

Result<std::string> read_text(const fs::path& file) {
  std::ifstream in(file);
  if (!in) {
    const int number = errno;
    return fail(number == ENOENT ? Code::kNotFound : Code::kUnavailable,
                "the allow-list " + file.string() + ": " + std::generic_category().message(number));
  }
  return std::string(std::istreambuf_iterator<char>(in), {});
}

// Held while it lives; gone with the process, however that ends.
class FolderLock {
 public:
  static Result<FolderLock> take(const fs::path& folder) {
    const int descriptor = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return tl::unexpected(refused(folder, errno));
    FolderLock lock(descriptor);
    if (flock(descriptor, LOCK_EX) != 0) return tl::unexpected(refused(folder, errno));
    return lock;
  }
  FolderLock(FolderLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  FolderLock& operator=(FolderLock&&) = delete;
  ~FolderLock() {
    if (descriptor_ >= 0) close(descriptor_);
  }

 private:
  explicit FolderLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

Result<void> replace_file(const fs::path& file, const std::string& text) {
  const std::string temporary = file.string() + ".new";
  const int descriptor = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor < 0) return tl::unexpected(refused(temporary, errno));
  const bool is_written = write(descriptor, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                          fsync(descriptor) == 0;
  const int problem = errno;
  close(descriptor);
  if (!is_written) return tl::unexpected(refused(temporary, problem));
  if (rename(temporary.c_str(), file.c_str()) != 0) return tl::unexpected(refused(file, errno));
  const fs::path folder = folder_of(file);
  const int parent = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool is_synced = parent >= 0 && fsync(parent) == 0;
  const int unsynced = errno;
  if (parent >= 0) close(parent);
  if (!is_synced) return tl::unexpected(refused(folder, unsynced));
  return {};
}

}  // namespace

std::string_view name_of(Role role) {
  return kRoles[static_cast<std::size_t>(role)].second;
}

std::optional<Role> role_of(std::string_view name) {
  const auto* const found = std::ranges::find(kRoles, name, &std::pair<Role, std::string_view>::second);
  return found == kRoles.end() ? std::nullopt : std::optional(found->first);
}

Result<AllowList> AllowList::parse(std::string_view text, const std::string& file) {
  AllowList list;
  std::istringstream in{std::string(text)};
  int number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    if (is_passed_over(line)) continue;
    const std::string where = file + ":" + std::to_string(number);
    TRY_ASSIGN(Grant grant, parse_line(line), where);
    TRY(list.add(std::move(grant)), where);
  }
  return list;
}

Result<AllowList> AllowList::read(const fs::path& file) {
  auto text = read_text(file);
  if (!text) return tl::unexpected(text.error());
  return parse(*text, file.string());
}

Result<void> AllowList::add(Grant grant) {
  if (auto checked = check(grant); !checked) return checked;
  if (const Grant* known = find(grant.key)) {
    return fail(Code::kConflict,
                "the key of '" + grant.name + "' is in the list already, as '" + known->name + "'");
  }
  if (by_name_.contains(grant.name)) {
    return fail(Code::kConflict,
                "the name '" + grant.name + "' is in the list already; revoke it, or take another");
  }
  by_key_[grant.key] = grants_.size();
  by_name_[grant.name] = grants_.size();
  grants_.push_back(std::move(grant));
  return {};
}

const Grant* AllowList::find(std::string_view key) const {
  const auto found = by_key_.find(key);
  return found == by_key_.end() ? nullptr : &grants_[found->second];
}

const Grant* AllowList::find_named(std::string_view name_or_key) const {
  const auto found = by_name_.find(name_or_key);
  return found == by_name_.end() ? find(name_or_key) : &grants_[found->second];
}

Result<void> allow_in(const fs::path& file, const Grant& grant) {
  TRY_ASSIGN(const FolderLock lock, FolderLock::take(folder_of(file)), "changing the allow-list");
  std::string text(kHead);
  if (auto known = read_text(file))
    text = *std::move(known);
  else if (known.error().code != Code::kNotFound)
    return tl::unexpected(known.error());
  TRY_ASSIGN(AllowList list, AllowList::parse(text, file.string()), "the allow-list as it is");
  if (auto added = list.add(grant); !added) return added;
  if (!text.ends_with('\n')) text += '\n';
  return replace_file(file, text + to_line(grant));
}

Result<Grant> revoke_in(const fs::path& file, std::string_view name_or_key) {
  TRY_ASSIGN(const FolderLock lock, FolderLock::take(folder_of(file)), "changing the allow-list");
  TRY_ASSIGN(const std::string text, read_text(file), "revoking a key");
  TRY_ASSIGN(const AllowList list, AllowList::parse(text, file.string()), "the allow-list as it is");
  const Grant* const revoked = list.find_named(name_or_key);
  if (revoked == nullptr)
    return fail(Code::kNotFound, "'" + std::string(name_or_key) + "' is not in " + file.string());
  std::string rest;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    const auto grant = is_passed_over(line) ? fail(Code::kInvalid, "") : parse_line(line);
    if (!grant || grant->key != revoked->key) rest += line + '\n';
  }
  TRY(replace_file(file, rest), "revoking a key");
  return *revoked;
}

}  // namespace paddock::wire
