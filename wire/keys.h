// wire/keys.h – the key pairs by which peers know each other (CURVE, over Curve25519), and the files they are kept in.
// A key is 40 letters of Z85. `NAME.secret` (mode 0600) holds both halves and never leaves its machine;
// `NAME.public` holds one line that may be mailed and posted: "paddock-public-key NAME KEY".
// Format page: docs/security.md. Threads: any. Errors: kInvalid: no key file, or not this kind; kDenied: others may
// read a secret file; kConflict: it is there already; kUnavailable: the disk refused.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.h"

namespace paddock::wire {

inline constexpr std::size_t kKeyLetters = 40;

struct KeyPair {
  std::string public_key;
  std::string secret_key;
};

// A key with the name that its file gives it.
struct NamedKey {
  std::string name;
  std::string public_key;
};

Result<KeyPair> make_key_pair();
bool is_key(std::string_view text);  // 40 letters that all are Z85's

// Both files of `name` in `folder`, which is made (mode 0700) if it is missing. Durable on return. Never overwrites.
Result<void> write_key_files(const std::filesystem::path& folder, const std::string& name,
                             const KeyPair& keys);
// The pair in a secret file.
Result<KeyPair> read_secret_key(const std::filesystem::path& file);
// The public half that a file of either kind holds.
Result<NamedKey> read_public_key(const std::filesystem::path& file);
// `text` is a key itself, the line of a public file, or the path of a file of either kind. A bare key has no name.
Result<NamedKey> to_public_key(const std::string& text);

// "paddock-public-key NAME KEY"
std::string public_line(const NamedKey& key);
// The other way; kInvalid: it is no such line.
Result<NamedKey> parse_public_line(std::string_view line);

}  // namespace paddock::wire
