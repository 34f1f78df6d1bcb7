#include "coordinator/access.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

namespace paddock::coordinator {
namespace {

Result<int> watch_folder_of(const std::filesystem::path& file) {
  const int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  const std::string folder = file.has_parent_path() ? file.parent_path().string() : ".";
  if (watch >= 0 && inotify_add_watch(watch, folder.c_str(), IN_CLOSE_WRITE | IN_MOVED_TO) >= 0) return watch;
  const std::string problem = std::generic_category().message(errno);
  if (watch >= 0) close(watch);
  return fail(Code::kUnavailable, "watching " + folder + " for a new allow-list: " + problem);
}

}  // namespace

Result<Access> Access::open(const CoordinatorOptions& options, const Log& log) {
  Access access(log);
  if (options.plain && !options.key.empty())
    return fail(Code::kInvalid, "--plain and --key exclude each other");
  if (options.plain) return access;
  if (options.key.empty() || options.allow.empty()) {
    return fail(
        Code::kInvalid,
        "a coordinator needs its key (--key, made by `paddock keys new coordinator`) and an allow-list "
        "(--allow, kept by `paddock keys allow`); --plain goes without, on this machine only");
  }
  TRY_ASSIGN(access.keys_, wire::read_secret_key(options.key), "the coordinator's key");
  access.list_file_ = options.allow;
  TRY_ASSIGN(access.watch_, watch_folder_of(options.allow), "the allow-list");
  TRY_ASSIGN(access.list_, wire::AllowList::read(options.allow),
             "nobody could be let in (`paddock keys allow` makes the list)");
  return access;
}

Access::Access(Access&& other) noexcept
    : log_(other.log_),
      keys_(std::move(other.keys_)),
      list_file_(std::move(other.list_file_)),
      list_(std::move(other.list_)),
      watch_(std::exchange(other.watch_, -1)) {}

Access::~Access() {
  if (watch_ >= 0) close(watch_);
}

std::optional<wire::ServerSecurity> Access::security() const {
  if (!keys_) return std::nullopt;
  return wire::ServerSecurity{*keys_, [this](const std::string& key) { return admits(key); }};
}

bool Access::admits(const std::string& key) const {
  if (list_.find(key) != nullptr) return true;
  const auto now = std::chrono::steady_clock::now();
  if (now >= log_again_at_) log_->warn("key_turned_away", {{"key", key}});
  if (now >= log_again_at_) log_again_at_ = now + std::chrono::seconds(1);
  return false;
}

std::optional<Requester> Access::who(const std::string& key) const {
  if (!keys_) return Requester{{}, true};
  const wire::Grant* const grant = list_.find(key);
  if (grant == nullptr) return std::nullopt;
  return Requester{*grant, false};
}

bool Access::has_changed() const {
  bool is_ours = false;
  alignas(inotify_event) std::array<char, 4096> events{};
  for (ssize_t length; (length = read(watch_, events.data(), events.size())) > 0;) {
    for (const char* at = events.data(); at < events.data() + length;) {
      const auto* const event = reinterpret_cast<const inotify_event*>(at);
      is_ours = is_ours || event->len == 0 || list_file_.filename() == event->name;
      at += sizeof(inotify_event) + event->len;
    }
  }
  return is_ours;
}

bool Access::refresh(bool in_any_case) {
  if (!keys_ || (!has_changed() && !in_any_case)) return false;
  auto list = wire::AllowList::read(list_file_);
  if (!list) {
    log_->error("allow_list_unreadable", {{"reason", list.error().message}});
    return false;
  }
  list_ = *std::move(list);
  log_->info("allow_list_read", {{"keys", list_.grants().size()}});
  return true;
}

}  // namespace paddock::coordinator
