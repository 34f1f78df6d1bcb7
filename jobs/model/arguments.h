// jobs/model/arguments.h – what a `paddock-run model` command may be told, and what it was told.
// A command lists its options once; parsing and help come from that list. Threads: values.
// Throws std::invalid_argument with a sentence for whoever typed it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace paddock::jobs {

struct Option {
  std::string name = {};  // "--weights"
  std::string value =
      {};  // what follows it, as help shows it: "PATH", "N"; empty where choices say it, or: a flag
  std::string about = {};
  std::string initial = {};               // without the option; empty: none
  std::vector<std::string> choices = {};  // all that is allowed; empty: anything
  bool is_required = false;
  bool is_list = false;  // takes every word up to the next option
};

class Arguments {
 public:
  // Reads `words` as these options. `of` is the command, for messages.
  static Arguments parse(const std::string& of, const std::vector<Option>& options,
                         std::span<const std::string> words);

  bool has(const std::string& name) const;  // given, or with an initial value
  const std::string& text(const std::string& name) const;
  const std::vector<std::string>& list(const std::string& name) const;
  // A whole number of at least 1; empty when not given and without an initial value.
  std::optional<std::int64_t> count(const std::string& name) const;
  // Finite numbers; none when not given.
  std::vector<double> numbers(const std::string& name) const;
  // "16x20": two whole numbers of at least 1 with an x between; empty when not given.
  std::optional<std::pair<std::int64_t, std::int64_t>> pair(const std::string& name) const;

 private:
  std::map<std::string, std::vector<std::string>> values_;
};

// One line an option.
std::string help_of(const std::vector<Option>& options);

}  // namespace paddock::jobs
