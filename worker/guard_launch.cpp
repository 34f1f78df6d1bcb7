#include "worker/guard_launch.h"

#include <cstring>

namespace paddock::worker {
namespace {

void put_number(std::string& bytes, std::uint64_t number) {
  char raw[sizeof number];
  std::memcpy(raw, &number, sizeof number);
  bytes.append(raw, sizeof raw);
}

void put_text(std::string& bytes, const std::string& text) {
  put_number(bytes, text.size());
  bytes += text;
}

void put_texts(std::string& bytes, const std::vector<std::string>& texts) {
  put_number(bytes, texts.size());
  for (const std::string& text : texts) put_text(bytes, text);
}

// Takes from the front of the bytes; once something is missing, everything is.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  std::uint64_t number() {
    std::uint64_t number = 0;
    if (!has(sizeof number)) return 0;
    std::memcpy(&number, bytes_.data(), sizeof number);
    bytes_.remove_prefix(sizeof number);
    return number;
  }
  std::string text() {
    const std::uint64_t length = number();
    if (!has(length)) return {};
    std::string text(bytes_.substr(0, length));
    bytes_.remove_prefix(length);
    return text;
  }
  std::vector<std::string> texts() {
    std::vector<std::string> texts;
    for (std::uint64_t left = number(); left > 0 && is_whole_; --left) texts.push_back(text());
    return texts;
  }
  bool is_whole() const { return is_whole_; }
  bool is_done() const { return is_whole_ && bytes_.empty(); }

 private:
  bool has(std::uint64_t length) {
    is_whole_ = is_whole_ && length <= bytes_.size();
    return is_whole_;
  }

  std::string_view bytes_;
  bool is_whole_ = true;
};

RankUser read_user(Reader& reader) {
  RankUser user;
  user.name = reader.text();
  user.home = reader.text();
  user.uid = static_cast<uid_t>(reader.number());
  user.gid = static_cast<gid_t>(reader.number());
  for (std::uint64_t left = reader.number(); left > 0 && reader.is_whole(); --left)
    user.groups.push_back(static_cast<gid_t>(reader.number()));
  return user;
}

}  // namespace

std::string to_bytes(const GuardLaunch& launch) {
  std::string bytes;
  put_text(bytes, launch.log);
  put_text(bytes, launch.directory);
  put_texts(bytes, launch.cgroups);
  put_number(bytes, launch.data_bytes_max);
  put_texts(bytes, launch.command);
  put_texts(bytes, launch.environment);
  put_number(bytes, launch.is_guard_in_cgroups ? 1 : 0);
  put_number(bytes, launch.user ? 1 : 0);
  if (!launch.user) return bytes;
  put_text(bytes, launch.user->name);
  put_text(bytes, launch.user->home);
  put_number(bytes, launch.user->uid);
  put_number(bytes, launch.user->gid);
  put_number(bytes, launch.user->groups.size());
  for (const gid_t group : launch.user->groups) put_number(bytes, group);
  return bytes;
}

std::optional<GuardLaunch> to_launch(std::string_view bytes) {
  Reader reader(bytes);
  GuardLaunch launch;
  launch.log = reader.text();
  launch.directory = reader.text();
  launch.cgroups = reader.texts();
  launch.data_bytes_max = reader.number();
  launch.command = reader.texts();
  launch.environment = reader.texts();
  launch.is_guard_in_cgroups = reader.number() == 1;
  if (reader.number() == 1) launch.user = read_user(reader);
  if (!reader.is_done() || launch.command.empty()) return std::nullopt;
  return launch;
}

}  // namespace paddock::worker
