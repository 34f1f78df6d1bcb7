#include "storage/tables.h"

#include <utility>

#include "base/check.h"

namespace paddock::storage {

std::string key_of(std::uint64_t number) {
  std::string key(8, '\0');
  for (std::size_t i = key.size(); i-- > 0; number >>= 8) key[i] = static_cast<char>(number & 0xFF);
  return key;
}

std::optional<std::uint64_t> number_of(std::string_view key) {
  if (key.size() != 8) return std::nullopt;
  std::uint64_t number = 0;
  for (const char byte : key) number = (number << 8) | static_cast<unsigned char>(byte);
  return number;
}

void Batch::put(Column column, std::string key, std::string value) {
  changes_.push_back({column, std::move(key), std::move(value), {}});
}

void Batch::erase(Column column, std::string key) {
  changes_.push_back({column, std::move(key), std::nullopt, {}});
}

void Batch::erase_range(Column column, std::string begin, std::string end) {
  PADDOCK_REQUIRE(begin < end);
  changes_.push_back({column, std::move(begin), std::nullopt, std::move(end)});
}

void Batch::append(const Batch& other) {
  changes_.insert(changes_.end(), other.changes_.begin(), other.changes_.end());
}

}  // namespace paddock::storage
