#include "jobs/spec/number_text.h"

#include <array>
#include <cmath>
#include <cstdio>

namespace paddock::spec {
namespace {

std::string printed(const char* format, int digits, double number) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), format, digits, number);
  return text.data();
}

}  // namespace

std::string grouped(std::int64_t number) {
  std::string text = std::to_string(number);
  const std::size_t first = text.front() == '-' ? 1 : 0;
  for (std::size_t end = text.size(); end > first + 3; end -= 3) text.insert(end - 3, 1, ',');
  return text;
}

std::string short_number(double number, int digits) {
  return printed("%.*g", digits, number);
}

std::string with_prefix(double number) {
  static constexpr std::array<const char*, 6> kPrefixes = {"", " k", " M", " G", " T", " P"};
  std::size_t prefix = 0;
  while (std::abs(number) >= 999.5 && prefix + 1 < kPrefixes.size()) {
    number /= 1000;
    ++prefix;
  }
  const int behind = prefix == 0 || std::abs(number) >= 99.95 ? 0 : std::abs(number) >= 9.995 ? 1 : 2;
  return printed("%.*f", behind, number) + kPrefixes[prefix];
}

std::string gibibytes(double bytes) {
  const double number = bytes / (1u << 30);
  return printed("%.*f", number >= 1 ? 1 : 2, number);
}

}  // namespace paddock::spec
