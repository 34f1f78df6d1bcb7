#include "wire/keys.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <sstream>
#include <system_error>
#include <vector>

#include "base/ids.h"

namespace paddock::wire {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPublicWord = "paddock-public-key";
constexpr std::string_view kSecretWord = "paddock-secret-key";
constexpr std::string_view kZ85 =
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";
using KeyText = std::array<char, kKeyLetters + 1>;
constexpr std::size_t kFileBytesMax = 4096;  // of a key file: whatever is larger is another file

std::vector<std::string> words_of(std::string_view line) {
  std::istringstream in{std::string(line)};
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

Error file_error(const fs::path& file, int number) {
  return Error{number == ENOENT ? Code::kNotFound : Code::kUnavailable,
               file.string() + ": " + std::generic_category().message(number)};
}

// Written in full and synced, or not there at all. Never through a link, never over another file.
Result<void> write_new_file(const fs::path& file, mode_t mode, const std::string& text) {
  const int descriptor = open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
  if (descriptor < 0) {
    if (errno == EEXIST)
      return fail(Code::kConflict,
                  file.string() + " is there already: take another name, or remove it first");
    return tl::unexpected(file_error(file, errno));
  }
  const bool is_written = write(descriptor, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                          fsync(descriptor) == 0;
  const int problem = errno;
  if (close(descriptor) == 0 && is_written) return {};
  unlink(file.c_str());
  return tl::unexpected(file_error(file, is_written ? errno : problem));
}

// The words of a key file, checked to be of one of its two kinds.
Result<std::vector<std::string>> read_words(const fs::path& file) {
  const int descriptor = open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return tl::unexpected(file_error(file, errno));
  struct stat status {};
  std::string text(kFileBytesMax, '\0');
  const ssize_t length = fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode)
                             ? read(descriptor, text.data(), text.size())
                             : 0;
  close(descriptor);
  text.resize(length > 0 ? static_cast<std::size_t>(length) : 0);
  std::vector<std::string> words = words_of(text);
  const bool is_secret = words.size() == 4 && words[0] == kSecretWord && is_key(words[2]) && is_key(words[3]);
  const bool is_public = words.size() == 3 && words[0] == kPublicWord && is_key(words[2]);
  if (!is_secret && !is_public)
    return fail(Code::kInvalid, file.string() + " is no key file: `paddock keys new` makes them");
  if (is_secret && (status.st_mode & (S_IRWXO | S_IWGRP)) != 0) {
    return fail(Code::kDenied,
                file.string() +
                    " can be read by others, so it is a secret no more: `chmod 600` it, or make a new one");
  }
  return words;
}

}  // namespace

Result<KeyPair> make_key_pair() {
  KeyText public_key{};
  KeyText secret_key{};
  if (zmq_curve_keypair(public_key.data(), secret_key.data()) != 0)
    return fail(Code::kUnavailable, "this build of ZeroMQ has no CURVE: install one with libsodium");
  return KeyPair{public_key.data(), secret_key.data()};
}

bool is_key(std::string_view text) {
  return text.size() == kKeyLetters && text.find_first_not_of(kZ85) == std::string_view::npos;
}

std::string public_line(const NamedKey& key) {
  return std::string(kPublicWord) + " " + key.name + " " + key.public_key;
}

Result<NamedKey> parse_public_line(std::string_view line) {
  const auto words = words_of(line);
  if (words.size() != 3 || words[0] != kPublicWord || !is_key(words[2]))
    return fail(Code::kInvalid, "'" + std::string(line) + "' is no public key: paddock-public-key NAME KEY");
  return NamedKey{words[1], words[2]};
}

Result<void> write_key_files(const fs::path& folder, const std::string& name, const KeyPair& keys) {
  if (!is_name(name))
    return fail(Code::kInvalid, "'" + name + "' is no name for a key: letters, digits and ._- only");
  std::error_code error;
  if (!folder.empty() && fs::create_directories(folder, error))
    fs::permissions(folder, fs::perms::owner_all, error);
  if (error) return fail(Code::kUnavailable, folder.string() + " cannot be made: " + error.message());
  const std::string secret =
      std::string(kSecretWord) + " " + name + " " + keys.public_key + " " + keys.secret_key + "\n";
  TRY(write_new_file(folder / (name + ".secret"), 0600, secret), "keeping the secret key");
  auto written =
      write_new_file(folder / (name + ".public"), 0644, public_line({name, keys.public_key}) + "\n");
  if (!written) {
    unlink((folder / (name + ".secret")).c_str());
    return tl::unexpected(written.error().within("keeping the public key"));
  }
  return {};
}

Result<KeyPair> read_secret_key(const fs::path& file) {
  TRY_ASSIGN(const auto words, read_words(file), "reading a secret key");
  if (words[0] != kSecretWord)
    return fail(Code::kInvalid, file.string() + " holds a public key; here its .secret file is needed");
  KeyText public_key{};
  if (zmq_curve_public(public_key.data(), words[3].c_str()) != 0 || words[2] != public_key.data())
    return fail(Code::kCorrupt, file.string() + ": its two halves do not belong together; make a new key");
  return KeyPair{words[2], words[3]};
}

Result<NamedKey> read_public_key(const fs::path& file) {
  TRY_ASSIGN(const auto words, read_words(file), "reading a public key");
  return NamedKey{words[1], words[2]};
}

Result<NamedKey> to_public_key(const std::string& text) {
  if (is_key(text)) return NamedKey{"", text};
  if (auto line = parse_public_line(text)) return line;
  return read_public_key(text);
}

}  // namespace paddock::wire
