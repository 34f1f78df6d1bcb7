#include "jobs/model/arguments.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <stdexcept>
#include <string_view>

#include "base/check.h"
#include "jobs/spec/nearest.h"

namespace paddock::jobs {
namespace {

const Option& find(const std::string& of, const std::vector<Option>& options, const std::string& name) {
  const auto at =
      std::find_if(options.begin(), options.end(), [&](const Option& option) { return option.name == name; });
  if (at != options.end()) return *at;
  std::vector<std::string> known;
  for (const Option& option : options) known.push_back(option.name);
  throw std::invalid_argument("model " + of + ": " + name + " " + spec::unknown_key_message(name, known));
}

// "PATH", "crop|pad"; empty of a flag.
std::string value_of(const Option& option) {
  std::string text = option.value;
  for (const std::string& choice : option.choices) text += (text.empty() ? "" : "|") + choice;
  return text;
}

// As many columns as the text takes: bytes that go on with a character of UTF-8 take none.
std::size_t columns_of(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char byte) { return (byte & 0xC0) != 0x80; }));
}

// The number that is all of `text`.
template <typename Number>
std::optional<Number> number_in(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

void check_value(const std::string& of, const Option& option, const std::string& value) {
  if (option.choices.empty()) return;
  if (std::find(option.choices.begin(), option.choices.end(), value) == option.choices.end())
    throw std::invalid_argument("model " + of + ": " + option.name + " is '" + value + "', must be one of " +
                                spec::enumerate(option.choices));
}

}  // namespace

Arguments Arguments::parse(const std::string& of, const std::vector<Option>& options,
                           std::span<const std::string> words) {
  Arguments arguments;
  for (std::size_t i = 0; i < words.size();) {
    const Option& option = find(of, options, words[i++]);
    if (arguments.values_.contains(option.name))
      throw std::invalid_argument("model " + of + ": " + option.name + " is given twice");
    std::vector<std::string>& values = arguments.values_[option.name];
    if (value_of(option).empty()) continue;
    const auto is_value = [&] { return i < words.size() && !words[i].starts_with("--"); };
    do {
      if (!is_value())
        throw std::invalid_argument("model " + of + ": " + option.name + " needs " + value_of(option) +
                                    " behind it");
      check_value(of, option, words[i]);
      values.push_back(words[i++]);
    } while (option.is_list && is_value());
  }
  for (const Option& option : options) {
    if (option.is_required && !arguments.values_.contains(option.name))
      throw std::invalid_argument("model " + of + ": " + option.name + " " + value_of(option) +
                                  " is missing; --help shows all options");
    if (!option.initial.empty()) arguments.values_.try_emplace(option.name, 1, option.initial);
  }
  return arguments;
}

bool Arguments::has(const std::string& name) const {
  return values_.contains(name);
}

const std::vector<std::string>& Arguments::list(const std::string& name) const {
  const auto at = values_.find(name);
  PADDOCK_REQUIRE(at != values_.end(), name);
  return at->second;
}

const std::string& Arguments::text(const std::string& name) const {
  const std::vector<std::string>& values = list(name);
  PADDOCK_REQUIRE(values.size() == 1, name, values.size());
  return values.front();
}

std::optional<std::int64_t> Arguments::count(const std::string& name) const {
  if (!has(name)) return std::nullopt;
  const auto number = number_in<std::int64_t>(text(name));
  if (!number || *number < 1)
    throw std::invalid_argument(name + " is '" + text(name) + "', must be a whole number of at least 1");
  return number;
}

std::vector<double> Arguments::numbers(const std::string& name) const {
  std::vector<double> all;
  if (!has(name)) return all;
  for (const std::string& value : list(name)) {
    const auto number = number_in<double>(value);
    if (!number || !std::isfinite(*number))
      throw std::invalid_argument(name + " has '" + value + "' in it, must be numbers");
    all.push_back(*number);
  }
  return all;
}

std::optional<std::pair<std::int64_t, std::int64_t>> Arguments::pair(const std::string& name) const {
  constexpr std::int64_t kMax = 1 << 14;
  if (!has(name)) return std::nullopt;
  const std::string& value = text(name);
  const auto at = value.find('x');
  const auto first = number_in<std::int64_t>(std::string_view(value).substr(0, at));
  const auto second =
      number_in<std::int64_t>(at == std::string::npos ? "" : std::string_view(value).substr(at + 1));
  if (!first || !second || *first < 1 || *second < 1 || *first > kMax || *second > kMax)
    throw std::invalid_argument(name + " is '" + value + "', must be two whole numbers from 1 to " +
                                std::to_string(kMax) + " with an x between, like 16x20");
  return std::pair(*first, *second);
}

std::string help_of(const std::vector<Option>& options) {
  std::vector<std::string> heads;
  std::size_t width = 0;
  for (const Option& option : options) {
    const std::string value = value_of(option);
    heads.push_back(option.name + (value.empty() ? "" : " " + value));
    width = std::max(width, columns_of(heads.back()));
  }
  std::string text;
  for (std::size_t i = 0; i < options.size(); ++i) {
    const Option& option = options[i];
    text += "  " + heads[i] + std::string(width - columns_of(heads[i]) + 2, ' ') + option.about;
    if (option.is_required) text += " (required)";
    if (!option.initial.empty()) text += " (" + option.initial + ")";
    text += '\n';
  }
  return text;
}

}  // namespace paddock::jobs
