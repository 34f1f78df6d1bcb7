// storage/hash.h – XXH3-128, the hash behind every identity and every check of stored bytes: 32 lower-case
// hex digits in the canonical (big-endian) order, as `xxh128sum` prints them. It finds accidents, not
// forgers. Threads: pure functions; a Hasher has one owner.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "storage/disk.h"

namespace paddock::storage {

std::string xxh3_hex(std::span<const std::byte> bytes);
std::string xxh3_hex(std::string_view text);

// The same over pieces: hex() of what was updated so far, and updating may go on.
class Hasher {
 public:
  Hasher();
  ~Hasher();
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;

  void update(std::span<const std::byte> bytes);
  void update(std::string_view text);
  std::string hex() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Of a whole file, read in pieces. Errors as Disk::open and read_at.
Result<std::string> xxh3_hex_of_file(Disk& disk, const fs::path& path);

// The content of a file NAME.xxh128 that guards a file: "<hash>  <file>" and a newline, as xxh128sum prints
// and checks it.
std::string xxh128sum_line(std::string_view hash, std::string_view file);

// Whether `text` could be such a hash.
bool is_xxh3_hex(std::string_view text);

}  // namespace paddock::storage
