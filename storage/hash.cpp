#include "storage/hash.h"

#include <xxhash.h>

#include <algorithm>

#include "base/check.h"

namespace paddock::storage {

namespace {

constexpr std::uint64_t kPieceBytes = 4u << 20;

std::string hex_of(XXH128_hash_t hash) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, hash);
  constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  hex.reserve(2 * sizeof canonical.digest);
  for (const unsigned char byte : canonical.digest) {
    hex += kDigits[byte >> 4];
    hex += kDigits[byte & 15];
  }
  return hex;
}

}  // namespace

std::string xxh3_hex(std::span<const std::byte> bytes) {
  return hex_of(XXH3_128bits(bytes.data(), bytes.size()));
}

std::string xxh3_hex(std::string_view text) {
  return xxh3_hex(bytes_of(text));
}

struct Hasher::State {
  State() : xxh(XXH3_createState()) {
    PADDOCK_CHECK(xxh != nullptr);
    XXH3_128bits_reset(xxh);
  }
  ~State() { XXH3_freeState(xxh); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  XXH3_state_t* const xxh;
};

Hasher::Hasher() : state_(std::make_unique<State>()) {}
Hasher::~Hasher() = default;
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;

void Hasher::update(std::span<const std::byte> bytes) {
  XXH3_128bits_update(state_->xxh, bytes.data(), bytes.size());
}

void Hasher::update(std::string_view text) {
  update(bytes_of(text));
}

std::string Hasher::hex() const {
  return hex_of(XXH3_128bits_digest(state_->xxh));
}

Result<std::string> xxh3_hex_of_file(Disk& disk, const fs::path& path) {
  TRY_ASSIGN(const auto file, disk.open(path), "hashing");
  Hasher hasher;
  Bytes piece(std::min(file->size(), kPieceBytes));
  for (std::uint64_t offset = 0; offset < file->size();) {
    const auto part = piece.writable().first(std::min(file->size() - offset, kPieceBytes));
    TRY(file->read_at(offset, part), "hashing");
    hasher.update(part);
    offset += part.size();
  }
  return hasher.hex();
}

std::string xxh128sum_line(std::string_view hash, std::string_view file) {
  return std::string(hash) + "  " + std::string(file) + "\n";
}

bool is_xxh3_hex(std::string_view text) {
  return text.size() == 32 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace paddock::storage
