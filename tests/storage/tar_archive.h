// tests/storage/tar_archive.h – tar files as others write them, piece by piece, with whatever is wrong that a
// test wants.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace paddock::storage {

inline std::string octal(std::uint64_t value, std::size_t width) {
  std::string digits(width, '0');
  for (std::size_t i = width - 1; i-- > 0; value >>= 3) digits[i] = static_cast<char>('0' + (value & 7));
  digits[width - 1] = '\0';
  return digits;
}

struct TarBlock {
  std::string name;
  char type = '0';
  std::uint64_t bytes = 0;
  std::string link = {};
  std::string prefix = {};
  std::string magic = std::string(
      "ustar\0"
      "00",
      8);
  std::string size_field = {};  // empty: `bytes` in octal
};

inline std::string tar_block(const TarBlock& about) {
  std::string block(512, '\0');
  const auto put = [&](std::size_t at, std::string_view text) { block.replace(at, text.size(), text); };
  put(0, about.name.substr(0, 100));
  put(100, octal(0644, 8));
  put(124, about.size_field.empty() ? octal(about.bytes, 12) : about.size_field);
  put(136, octal(1'700'000'000, 12));
  block[156] = about.type;
  put(157, about.link);
  put(257, about.magic);
  put(345, about.prefix);
  put(148, "        ");
  std::uint64_t sum = 0;
  for (const char byte : block) sum += static_cast<unsigned char>(byte);
  put(148, octal(sum, 7) + " ");
  return block;
}

inline std::string padded(std::string body) {
  body.resize((body.size() + 511) / 512 * 512, '\0');
  return body;
}

// Header, bytes, padding.
inline std::string tar_file(const std::string& name, const std::string& body) {
  return tar_block({.name = name, .bytes = body.size()}) + padded(body);
}

// GNU's way with a name that is too long, for the header that follows.
inline std::string gnu_long_name(const std::string& name) {
  return tar_block({.name = "././@LongLink", .type = 'L', .bytes = name.size() + 1}) + padded(name + '\0');
}

inline std::string pax_record(const std::string& key, const std::string& value) {
  const std::size_t rest = key.size() + value.size() + 3;
  std::size_t length = rest + 1;
  while (std::to_string(length).size() + rest != length) ++length;
  return std::to_string(length) + " " + key + "=" + value + "\n";
}

inline std::string pax_header(const std::string& records) {
  return tar_block({.name = "PaxHeaders/x", .type = 'x', .bytes = records.size()}) + padded(records);
}

inline std::string tar_end() {
  return std::string(1024, '\0');
}

}  // namespace paddock::storage
